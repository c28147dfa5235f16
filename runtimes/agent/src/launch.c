#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { DEFAULT_UMASK = 022, FALLBACK_FDS = 4096 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int set_session(const struct launch *launch)
{
    if (setsid() < 0)
        return -1;
    return launch->terminal ? ioctl(launch->fds[0], TIOCSCTTY, 0) : 0;
}

static int set_streams(const struct launch *launch)
{
    for (int fd = 0; fd < 3; fd++)
        if (dup2(launch->fds[fd], fd) < 0)
            return -1;
    return 0;
}

/* Everything the agent has open is close-on-exec already; this is for what it did not open. */
static int set_descriptors(const struct launch *launch)
{
    (void)launch;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
#endif
    for (int fd = 3; fd < FALLBACK_FDS; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

/* Best effort: a kernel without it, or a /proc that is read-only, must not stop a run. */
static int set_oom_score(const struct launch *launch)
{
    (void)launch;
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t sent = write(fd, "1000", 4);
        (void)sent;
        close(fd);
    }
    return 0;
}

static int set_limits(const struct launch *launch)
{
    const struct request *request = launch->request;
    const struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return -1;
    for (unsigned at = 0; at < request->rlimit_count; at++)
        if (setrlimit((int)request->rlimits[at].resource, &request->rlimits[at].limit) < 0)
            return -1;
    return 0;
}

/* Without privileges (tests of developers) only the agent's own uid can be had. */
static int set_identity(const struct launch *launch)
{
    uid_t uid = launch->request->uid;
    gid_t gid = launch->request->gid;
    if (geteuid() != 0) {
        errno = EPERM;
        return uid == geteuid() && gid == getegid() ? 0 : -1;
    }
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0)
        return -1;
    return setresuid(uid, uid, uid);
}

static int set_privileges(const struct launch *launch)
{
    (void)launch;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int set_filter(const struct launch *launch)
{
    (void)launch;
    return filter_system_calls();
}

static int set_directory(const struct launch *launch)
{
    bool given = request_has(launch->request, TAG_UMASK);
    umask(given ? (mode_t)launch->request->umask & 0777 : DEFAULT_UMASK);
    return chdir(launch->cwd);
}

/* The agent reset all others when it started. */
static int set_signals(const struct launch *launch)
{
    (void)launch;
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *search_path(char **envp)
{
    for (; *envp; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    return default_path;
}

/* Tries each directory of the given environment's PATH, as execvp does with its own. */
static int exec_search(const char *name, const struct launch *launch)
{
    char path[4096];
    int error = ENOENT;
    const char *from = search_path(launch->envp);
    for (;;) {
        const char *end = strchrnul(from, ':');
        int length = snprintf(path, sizeof path, "%.*s%s%s", (int)(end - from), from,
                              end > from ? "/" : "", name);
        if (length > 0 && (size_t)length < sizeof path) {
            execve(path, launch->argv, launch->envp);
            if (errno == EACCES)
                error = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR)
                return -1;
        }
        if (*end == '\0')
            break;
        from = end + 1;
    }
    errno = error;
    return -1;
}

static int exec_program(const struct launch *launch)
{
    const char *name = launch->argv[0];
    if (strchr(name, '/'))
        return execve(name, launch->argv, launch->envp);
    return exec_search(name, launch);
}

/* In this order: groups before the uid, privileges before anything of the user's is looked at. */
static const struct {
    const char *name;
    int (*run)(const struct launch *);
} steps[] = {
    {"session", set_session},
    {"streams", set_streams},
    {"descriptors", set_descriptors},
    {"memory priority", set_oom_score},
    {"resource limit", set_limits},
    {"user", set_identity},
    {"privileges", set_privileges},
    {"system call filter", set_filter},
    {"working directory", set_directory},
    {"signals", set_signals},
    {"program", exec_program},
};

enum { STEPS = sizeof steps / sizeof *steps };

_Noreturn void launch_child(const struct launch *launch)
{
    struct launch_failure failure = {0, 0};
    for (; failure.step < STEPS; failure.step++)
        if (steps[failure.step].run(launch) < 0)
            break;
    failure.error = errno;
    ssize_t sent = write(launch->failure, &failure, sizeof failure);
    (void)sent;
    _exit(127);
}

const char *launch_step_name(unsigned step)
{
    return step < STEPS ? steps[step].name : "start";
}
