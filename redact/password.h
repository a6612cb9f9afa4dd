/* password: does a user name look like a password?
 *
 * Of a failed login for a user who does not exist, the name may be a password that was
 * typed too early.  Conservative on both sides: admin, test123, svc_backup, anna.schmidt,
 * anna@example.com, DOMAIN\anna, Operator01 and telephone numbers are names; what has
 * marks that no name has (Huawei@123, hunter2!), or upper case, lower case and digits in
 * an order that no name has (Winter2026, xK9q2LmP), is a password.
 *
 * One word; passphrases are judged by who knows where a name ends.  Pure.
 */
#ifndef REDACT_PASSWORD_H
#define REDACT_PASSWORD_H

#include "common/slice.h"

bool redact_looks_like_password(struct slice name);

#endif
