/* Signals and reaping. The one place that may signal everything, guarded by being PID 1. */
#ifndef KILL_H
#define KILL_H

#include <signal.h>

#include "agent.h"

/* Collects every process that has ended and tells its channel. */
void reap(struct agent *agent);

/* Signals a process group that is known to be ours and alive. */
int signal_group(pid_t group, int signo);

/* Signals every process in the container but the agent, as kill() would; EPERM and nothing at all
 * when it is not PID 1. */
int signal_everything(const struct agent *agent, int signo);

/* Kills and reaps everything else in the container; how many could not be killed in time. */
unsigned kill_everything(struct agent *agent);

#endif
