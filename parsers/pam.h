/* pam: what pam.c and pam_modules.c share.  Internal to parsers/. */
#ifndef PARSERS_PAM_H
#define PARSERS_PAM_H

#include "parsers/family.h"

/* A program that asks PAM, by the name that it gives itself there. */
struct pam_service {
	struct slice name;
	struct slice action;
	bool own_line; /* the program itself tells of success */
};

/* Category, type and the service's action. */
void pam_authentication(struct context *c, const struct pam_service *s);
/* The slot of the line's process; sudo and su, which log without a pid, are joined by user. */
void pam_find_slot(struct context *c, unsigned slots_family, struct slice user);
/* The address that an earlier line of the process gave for PAM's host name. */
void pam_fill_in(struct context *c);

/* A process that goes on for other users has told of one attempt and tells of another. */
void pam_another(struct context *c, unsigned slots_family);
/* The same for a line that names its user, if the process has not told of him yet. */
void pam_another_user(struct context *c, unsigned slots_family, struct slice user);

/* What stands behind "module(service:type): " where it is none of what all modules say. */
bool pam_module_line(struct context *c, struct slice m, const struct pam_service *s,
		     unsigned slots_family);

#endif
