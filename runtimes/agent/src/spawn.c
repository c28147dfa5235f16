/* OPEN of kind EXEC: pipes or a terminal, fork, and the channel around the child. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "launch.h"
#include "process.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* The child's descriptors are closed after the fork, the agent's with the process. */
struct child_fds {
    int fds[3], failure;
};

static void close_all(int *fds, unsigned count)
{
    for (unsigned at = 0; at < count; at++)
        if (fds[at] >= 0)
            close(fds[at]);
}

/* A pipe with one end for the agent, which never blocks on it. */
static bool make_pipe(int *agents, int *childs, bool agent_reads)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *agents = ends[agent_reads ? 0 : 1];
    *childs = ends[agent_reads ? 1 : 0];
    return fcntl(*agents, F_SETFL, O_NONBLOCK) == 0;
}

/* The backspace key takes a whole character away, where the kernel edits the line. */
static bool set_utf8(int terminal)
{
    struct termios modes;
    if (tcgetattr(terminal, &modes) < 0)
        return false;
    modes.c_iflag |= IUTF8;
    return tcsetattr(terminal, TCSANOW, &modes) == 0;
}

static bool make_terminal(struct process *process, struct child_fds *child,
                          const struct request *request)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0)
        return false;
    process->terminal = true;
    process->input = process->output[0].fd = master;
    const struct winsize size = {.ws_row = request->rows, .ws_col = request->columns};
    int locked = 0;
    if (ioctl(master, TIOCSPTLCK, &locked) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0)
        return false;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return false;
    child->fds[0] = slave;
    if (!set_utf8(slave))
        return false;
    child->fds[1] = dup(slave);
    child->fds[2] = dup(slave);
    /* So that the program may open /dev/tty's file again; not having CAP_CHOWN is no obstacle. */
    int owned = fchown(slave, request->uid, (gid_t)-1);
    (void)owned;
    return child->fds[1] >= 0 && child->fds[2] >= 0;
}

/* So that the program may open /dev/stdout and /dev/stderr; that it may not is no obstacle. */
static void give_pipes(const struct child_fds *child, const struct request *request)
{
    for (int at = request->input ? 0 : 1; at < 3; at++) {
        int owned = fchown(child->fds[at], request->uid, request->gid);
        (void)owned;
    }
}

static bool make_streams(struct process *process, struct child_fds *child,
                         const struct request *request)
{
    if (!make_pipe(&process->starting, &child->failure, true))
        return false;
    if (request_has(request, TAG_PTY))
        return make_terminal(process, child, request);
    if (request->input)
        make_pipe(&process->input, &child->fds[0], false);
    else
        child->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (child->fds[0] < 0 || !make_pipe(&process->output[0].fd, &child->fds[1], true) ||
        !make_pipe(&process->output[1].fd, &child->fds[2], true))
        return false;
    give_pipes(child, request);
    return true;
}

static struct process *process_new(const struct request *request)
{
    struct process *process = calloc(1, sizeof *process);
    if (!process)
        return NULL;
    process->input = process->starting = -1;
    process->output[0] = process->output[1] = (struct output){.fd = -1, .due = -1};
    process->alone = request->alone != 0;
    process->output_limit =
        request_has(request, TAG_OUTPUT_LIMIT) ? request->output_limit : UINT64_MAX;
    slice_text(request->key, process->key, sizeof process->key);
    return process;
}

static bool fork_child(struct process *process, struct launch *launch)
{
    process->oom_kills = oom_kills();
    clock_gettime(CLOCK_MONOTONIC, &process->start);
    pid_t pid = fork();
    if (pid == 0)
        launch_child(launch);
    if (pid < 0)
        return false;
    process->pid = process->started_as = pid;
    return true;
}

static bool start(struct process *process, const struct request *request)
{
    struct child_fds child = {{-1, -1, -1}, -1};
    struct launch launch = {
        .request = request,
        .argv = request_strings(request, TAG_ARG),
        .envp = request_strings(request, TAG_ENV),
        .terminal = request_has(request, TAG_PTY),
    };
    slice_text(request->cwd, launch.cwd, sizeof launch.cwd);
    bool started = launch.argv && launch.envp && make_streams(process, &child, request);
    if (started) {
        memcpy(launch.fds, child.fds, sizeof launch.fds);
        launch.failure = child.failure;
        started = fork_child(process, &launch);
    }
    int error = errno;
    close_all(child.fds, 3);
    close_all(&child.failure, 1);
    free(launch.argv);
    free(launch.envp);
    errno = error;
    return started;
}

static bool lone_process(const struct agent *agent)
{
    for (unsigned at = 0; at < agent->channel_count; at++) {
        const struct process *process = process_of(agent->channels[at]);
        if (process && process->alone)
            return true;
    }
    return false;
}

static const char *wrong_with(const struct request *request)
{
    if (!request_has(request, TAG_ARG) || !request_has(request, TAG_CWD) ||
        !request_has(request, TAG_UID) || !request_has(request, TAG_GID))
        return "a process needs arguments, a working directory, a uid and a gid";
    if (request->cwd.length == 0 || request->cwd.length >= sizeof((struct launch *)0)->cwd)
        return "the working directory is empty or too long";
    if (request->key.length > KEY_MAX)
        return "the key is too long";
    if (request_has(request, TAG_KEY) && (request->alone || request->key.length == 0))
        return "a kept process has a key and is not alone";
    return NULL;
}

void open_exec(struct agent *agent, uint32_t id, const struct request *request)
{
    const char *wrong = wrong_with(request);
    if (wrong) {
        agent_refuse(agent, id, EINVAL, wrong);
        return;
    }
    if (request->alone && lone_process(agent)) {
        agent_refuse(agent, id, EBUSY, "another process has the container alone");
        return;
    }
    if (process_find_key(agent, request->key)) {
        agent_refuse(agent, id, EEXIST, "the key is in use");
        return;
    }
    struct process *process = process_new(request);
    struct channel *channel = process ? channel_open(agent, id, &process_ops, process) : NULL;
    if (!channel) {
        free(process);
        agent_refuse(agent, id, EMFILE, "too many channels");
    } else if (!start(process, request)) {
        channel_fail(agent, channel, errno, strerror(errno));
    }
}
