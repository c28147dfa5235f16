/* What no program in a sandbox needs and the engine's own filter may let through. */
#ifndef FILTER_H
#define FILTER_H

/* For this process and all that come of it, for good: 0, or -1 with errno. Needs no privileges
 * once PR_SET_NO_NEW_PRIVS is set. */
int filter_system_calls(void);

#endif
