/* The child's side of a spawn: from fork to exec, with everything dropped on the way. */
#ifndef LAUNCH_H
#define LAUNCH_H

#include "request.h"

struct launch {
    const struct request *request;
    char **argv, **envp;
    char cwd[4096];
    int fds[3];    /* what becomes its stdin, stdout and stderr */
    int failure;   /* where a struct launch_failure is written when exec did not happen */
    bool terminal; /* fds are a terminal that becomes the controlling one */
};

struct launch_failure {
    int error;
    unsigned step; /* for launch_step_name() */
};

/* Runs in the child; never returns. */
_Noreturn void launch_child(const struct launch *launch);

/* What was being done, for messages: "working directory", "program". */
const char *launch_step_name(unsigned step);

#endif
