/* Channels of kind EXEC: a process, its three streams or its terminal, and how it ended. */
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#include "agent.h"
#include "inbox.h"

/* One stream of output: stdout (all of a terminal) or stderr. */
struct output {
    int fd;      /* -1 once it has ended */
    int64_t due; /* bytes still to come from a process that has ended; -1: until the end */
    uint64_t seen, dropped;
};

struct process {
    pid_t pid; /* 0 once it is reaped */
    int input, starting; /* -1 when closed; `starting` tells how exec went */
    bool terminal, alone, input_ended;
    bool swept;   /* the rest of a lone run was killed */
    bool bounded; /* `due` was set at its end */
    struct inbox inbox;
    struct output output[2];
    uint64_t output_limit;
    char key[KEY_MAX + 1];
    pid_t started_as; /* the pid, also after its end */
    struct timespec start;
    uint64_t wall_us;
    int status;
    struct rusage usage;
    uint32_t oom_kills, left;
};

extern const struct channel_ops process_ops;

/* Notes the end of a process: a channel's own, or an orphan of the run that has the container. */
void process_reaped(struct agent *agent, pid_t pid, int status, const struct rusage *usage);

/* Gives processes that were reaped their last rites: kills what a lone run left behind. */
void processes_settle(struct agent *agent);

/* NULL when the channel is of another kind. */
struct process *process_of(const struct channel *channel);

/* The attached or detached process of that key; NULL when there is none. */
struct channel *process_find_key(struct agent *agent, struct slice key);

/* Lets go of a kept process for a new epoch. Its output waits; input it has not read yet is
 * dropped, so that what is kept of it never exceeds one window. */
void process_detach(struct channel *channel);

/* Answers ADOPT: the detached process of that key goes on as channel `id`. */
void process_adopt(struct agent *agent, uint32_t id, struct slice key);

/* How often the kernel's OOM killer struck in this container; 0 when that cannot be read. */
uint32_t oom_kills(void);

#endif
