/* render: an alert as one JSON object (docs/alerts.md).  Internal to alerts/. */
#ifndef ALERTS_RENDER_H
#define ALERTS_RENDER_H

#include "alerts/alerts.h"

/* Into out, which is cleared first and whose limit the object keeps: texts are
 * cut as far as it takes.  UV_ENOMEM. */
int alert_render(struct buf *out, const struct alert *a, const struct finding *f,
		 struct slice device, size_t evidence_lines);

#endif
