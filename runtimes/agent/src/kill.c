#include "kill.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

enum { KILL_ROUNDS = 200, KILL_ROUND_MS = 10 };

int signal_group(pid_t group, int signo)
{
    if (group <= 1) {
        errno = EINVAL;
        return -1;
    }
    return kill(-group, signo);
}

int signal_everything(const struct agent *agent, int signo)
{
    /* Outside a container this would end the machine: both must hold. */
    if (!agent->is_init || getpid() != 1) {
        errno = EPERM;
        return -1;
    }
    return kill(-1, signo);
}

/* Reaps what has ended; false when there are no children left at all. */
static bool reap_ended(struct agent *agent)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return pid == 0;
        process_reaped(agent, pid, status, &usage);
    }
}

void reap(struct agent *agent)
{
    reap_ended(agent);
    processes_settle(agent);
}

/* The kernel answers for nothing what /proc answers for a hundred system calls. */
static bool nobody_left(const struct agent *agent)
{
    return signal_everything(agent, 0) < 0 && errno == ESRCH;
}

static unsigned count_processes(void)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return 1;
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
            count++;
    closedir(proc);
    return count;
}

unsigned kill_everything(struct agent *agent)
{
    if (signal_everything(agent, SIGKILL) < 0 && errno != ESRCH)
        return 0;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const struct timespec pause = {.tv_nsec = KILL_ROUND_MS * 1000000L};
    for (int round = 0; round < KILL_ROUNDS && reap_ended(agent); round++) {
        sigtimedwait(&child, NULL, &pause);
        signal_everything(agent, SIGKILL);
    }
    return nobody_left(agent) ? 0 : count_processes();
}
