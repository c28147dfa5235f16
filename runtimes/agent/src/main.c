/* The agent's life: PID 1 of a sandbox, one loop over frames, processes and connections. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"
#include "crc32.h"
#include "files.h"
#include "kill.h"

enum { OWN_FDS = 3, STREAM_PIPE_BYTES = 1024 * 1024, EXIT_BAD_START = 70 };

static struct agent agent;

/* Descriptors 0 to 2 must be open, or a pipe to a child would take their numbers. */
static bool hold_standard_fds(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

static bool set_non_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* What the agent's own parent ignored must not stay ignored in every program of the sandbox. The
 * C library keeps two signals to itself, so the kernel is asked: zeros are its default action. */
static void reset_signals(void)
{
    static const unsigned long by_default[8];

    for (int signo = 1; signo < _NSIG; signo++)
        syscall(SYS_rt_sigaction, signo, by_default, NULL, _NSIG / 8);
    signal(SIGPIPE, SIG_IGN);
}

/* Nothing in the sandbox may read, trace or signal the agent, nor outlive its bookkeeping. As
 * PID 1 it hears no signal but those it asks for; elsewhere (tests) it stays easy to end. */
static bool protect(void)
{
    agent.is_init = getpid() == 1;
    umask(0);
    reset_signals();
    if (geteuid() == 0)
        setgroups(0, NULL);
    if (!agent.is_init)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    stay_undumpable();
    return chdir("/") == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static bool listen_for_children(void)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &child, NULL) < 0)
        return false;
    agent.signal_fd = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    return agent.signal_fd >= 0;
}

static bool start(void)
{
    agent.in_fd = STDIN_FILENO;
    agent.out_fd = STDOUT_FILENO;
    agent.next_own = OWN_CHANNELS;
    crc32_init();
    /* Best effort: a larger pipe means fewer wake-ups of whoever copies it. */
    fcntl(agent.out_fd, F_SETPIPE_SZ, STREAM_PIPE_BYTES);
    return hold_standard_fds() && protect() && listen_for_children() &&
           set_non_blocking(agent.in_fd) && set_non_blocking(agent.out_fd) &&
           getrandom(agent.boot_id, sizeof agent.boot_id, 0) == sizeof agent.boot_id;
}

static bool answers_fit(void)
{
    return outbox_room(&agent.outbox) >= OUTBOX_RESERVE;
}

/* True when frames are left that the outbox has no room to answer yet. */
static bool handle_frames(void)
{
    struct frame frame;
    while (answers_fit()) {
        if (!decoder_next(&agent.decoder, &frame))
            return false;
        agent_dispatch(&agent, &frame);
    }
    return true;
}

static void handle_input(void)
{
    ssize_t got = decoder_fill(&agent.decoder, agent.in_fd);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        agent.ended = true;
}

static void handle_children(void)
{
    struct signalfd_siginfo info[8];
    while (read(agent.signal_fd, info, sizeof info) > 0)
        continue;
    reap(&agent);
}

struct watch {
    struct pollfd fds[OWN_FDS + CHANNELS_MAX * CHANNEL_FDS];
    struct channel *owners[OWN_FDS + CHANNELS_MAX * CHANNEL_FDS];
    unsigned count;
};

/* A new channel is first next time round: nobody comes first always. */
static void watch_channels(struct watch *watch)
{
    agent.turn++;
    for (unsigned at = 0; at < agent.channel_count; at++) {
        struct channel *channel = agent.channels[(at + agent.turn) % agent.channel_count];
        if (!channel->ops->interest)
            continue;
        unsigned more = channel->ops->interest(&agent, channel, watch->fds + watch->count);
        while (more-- > 0)
            watch->owners[watch->count++] = channel;
    }
}

static void serve_channels(const struct watch *watch)
{
    for (unsigned at = OWN_FDS; at < watch->count; at++) {
        struct channel *channel = watch->owners[at];
        if (watch->fds[at].revents && !channel->finished)
            channel->ops->ready(&agent, channel, watch->fds[at]);
    }
}

/* True when some channel has more to do without waiting. */
static bool work_channels(void)
{
    bool busy = false;
    for (unsigned at = 0; at < agent.channel_count; at++) {
        struct channel *channel = agent.channels[(at + agent.turn) % agent.channel_count];
        if (!answers_fit())
            return true;
        if (channel->ops->work && !channel->finished)
            busy |= channel->ops->work(&agent, channel);
    }
    return busy;
}

/* One round: wait, unless there is more to do and room for it, then look at everything ready. */
static void serve(bool busy, bool backlog)
{
    static struct watch watch;
    bool roomy = outbox_room(&agent.outbox) >= FRAME_MAX + OUTBOX_RESERVE;
    bool unsent = agent.outbox.start < agent.outbox.end;
    watch.fds[0] = (struct pollfd){backlog ? -1 : agent.in_fd, POLLIN, 0};
    watch.fds[1] = (struct pollfd){unsent ? agent.out_fd : -1, POLLOUT, 0};
    watch.fds[2] = (struct pollfd){agent.signal_fd, POLLIN, 0};
    watch.count = OWN_FDS;
    watch_channels(&watch);
    if (poll(watch.fds, watch.count, roomy && (busy || backlog) ? 0 : -1) < 0)
        return;
    serve_channels(&watch);
    if (watch.fds[2].revents)
        handle_children();
    if (watch.fds[0].revents)
        handle_input();
}

static void end_everything(void)
{
    agent_new_epoch(&agent, 0, WINDOW_MIN);
    for (unsigned at = 0; at < agent.channel_count; at++)
        agent.channels[at]->finished = true;
    channels_sweep(&agent);
    kill_everything(&agent);
}

int main(void)
{
    if (!start())
        return EXIT_BAD_START;
    while (!agent.ended) {
        bool backlog = handle_frames();
        bool busy = work_channels();
        channels_sweep(&agent);
        if (!outbox_flush(&agent.outbox, agent.out_fd))
            break;
        serve(busy, backlog);
    }
    end_everything();
    return EXIT_SUCCESS;
}
