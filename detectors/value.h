/* value: what a rule's text becomes by its modifiers, step by step.
 *
 * A text is a row of tokens: bytes, and what stands for several.  A step that has
 * several results (base64offset) makes several texts, of which one must match.
 * Sigma 2.1, appendix "Modifiers".  Pure; the tokens are the arena's.
 */
#ifndef DETECTORS_VALUE_H
#define DETECTORS_VALUE_H

#include "common/slice.h"
#include "detectors/arena.h"

/* Tokens beside the bytes themselves. */
enum { TOKEN_ONE = 256, TOKEN_MANY = 257, TOKEN_DASH = 258 };

enum value_step {
	STEP_CONTAINS,
	STEP_STARTSWITH,
	STEP_ENDSWITH,
	STEP_WINDASH,
	STEP_UTF16LE,
	STEP_UTF16BE,
	STEP_UTF16,
	STEP_BASE64,
	STEP_BASE64OFFSET,
};

enum {
	VALUE_STEPS = 8,
	VALUE_TEXTS = 1024, /* that one value may become */
	VALUE_WHY = 160,
};

struct value_text {
	uint16_t *t;
	size_t n;
};

/* Applies the steps to value, Sigma's wildcards and escapes being understood.  Returns how
 * many texts stand in *out, which the caller frees in any case; ERR_MALFORMED: why says
 * what is wrong; UV_ENOMEM. */
int value_texts(struct arena *a, struct slice value, const uint8_t *steps, size_t n_steps,
		struct value_text **out, char why[static VALUE_WHY]);

/* The bytes of one of the five dashes of "windash" at p, of n; 0: none stands there. */
static inline size_t value_dash(const char *p, size_t n)
{
	if (n > 0 && (p[0] == '-' || p[0] == '/')) {
		return 1;
	}
	/* U+2013, U+2014, U+2015 */
	return n > 2 && (uint8_t)p[0] == 0xe2 && (uint8_t)p[1] == 0x80 &&
			       (uint8_t)p[2] >= 0x93 && (uint8_t)p[2] <= 0x95
		       ? 3 : 0;
}

#endif
