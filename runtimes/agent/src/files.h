/* Walking paths and acting as another user, so that the agent is nobody's confused deputy. */
#ifndef FILES_H
#define FILES_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bytes.h"

/* Keeps the agent out of reach of ptrace and /proc/PID. To be said again after every change of
 * identity: the kernel then sets what fs.suid_dumpable says, which need not be 0. */
void stay_undumpable(void);

/* Does what follows with the file rights of this user alone; false (errno) when it cannot. */
bool assume_identity(uid_t uid, gid_t gid);

/* Ends what assume_identity() began; errno stays. */
void resume_identity(void);

/* Where a path leads: a directory held open, and a last name in it. */
struct place {
    int directory; /* an O_PATH descriptor, for leave_place() */
    char name[NAME_MAX + 1];
};

/* Walks the absolute `root`, then the relative `path`, one component at a time: no symbolic
 * links, no "." or "..". With `create`, missing directories on the way are made, mode 0755.
 * An empty `path` makes root's own last component the name. False (errno) when it cannot. */
bool find_place(struct slice root, struct slice path, bool create, struct place *place);

/* Closes its directory; errno stays. */
void leave_place(struct place *place);

#endif
