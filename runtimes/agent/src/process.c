#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elapsed.h"
#include "kill.h"
#include "launch.h"
#include "tlv.h"

enum { UNTIL_END = -1, END_OF_TRANSMISSION = 4 };
enum { TERMINAL_HELD_MAX = 128 << 10 }; /* bytes on their way through one: Linux holds 68 KiB */
enum { TERMINAL_PIECE = 4096 };         /* more than one hands out at once */
enum { TERMINAL_FLOW = 2048 };          /* bytes at once that nobody's keys bring about */
enum { TERMINAL_MOMENT_NS = 100 * 1000 };

struct process *process_of(const struct channel *channel)
{
    return channel->ops == &process_ops ? channel->state : NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- input ------------------------------------------------------------------------------- */

static void input_end(struct process *process)
{
    if (!process->input_ended || !inbox_empty(&process->inbox) || process->input < 0)
        return;
    if (!process->terminal) {
        close_fd(&process->input);
        return;
    }
    const uint8_t byte = END_OF_TRANSMISSION;
    ssize_t sent = write(process->input, &byte, 1);
    (void)sent;
    process->input = -1; /* the terminal itself stays open for its output */
}

static void process_data(struct agent *agent, struct channel *channel, struct slice bytes)
{
    struct process *process = channel->state;
    if (process->input_ended)
        channel_fail(agent, channel, EPROTO, "data after the end of the stream");
    else
        inbox_write(agent, channel, &process->inbox, process->input, bytes);
}

static void process_eof(struct agent *agent, struct channel *channel)
{
    (void)agent;
    struct process *process = channel->state;
    if (process->input_ended)
        return;
    process->input_ended = true;
    input_end(process);
}

/* --- output ------------------------------------------------------------------------------ */

static void output_end(struct agent *agent, struct channel *channel, unsigned at)
{
    struct process *process = channel->state;
    int *fd = &process->output[at].fd;
    if (process->terminal)
        process->input = -1;
    close_fd(fd);
    channel_send_eof(agent, channel, (uint8_t)(STREAM_OUT + at));
}

static bool over_limit(const struct process *process, const struct output *output)
{
    return output->seen - output->dropped >= process->output_limit;
}

static ssize_t output_drop(struct output *output)
{
    static uint8_t scratch[PAYLOAD_MAX];
    ssize_t got = read(output->fd, scratch, sizeof scratch);
    if (got > 0)
        output->dropped += (uint64_t)got;
    return got;
}

/* A terminal hands out less than 4 KiB at once, and each piece costs everybody on its way: of what
 * comes fast more is waited for, a moment. */
static ssize_t terminal_read(int fd, uint8_t *bytes, uint64_t want)
{
    const struct timespec moment = {.tv_nsec = TERMINAL_MOMENT_NS};
    struct pollfd more = {fd, POLLIN, 0};
    uint64_t length = 0;
    ssize_t got;
    do {
        got = read(fd, bytes + length, want - length);
        length += got > 0 ? (uint64_t)got : 0;
    } while (got >= TERMINAL_FLOW && want - length >= TERMINAL_PIECE &&
             ppoll(&more, 1, &moment, NULL) > 0);
    return length > 0 ? (ssize_t)length : got;
}

static ssize_t output_forward(struct agent *agent, struct channel *channel, struct output *output)
{
    struct process *process = channel->state;
    uint64_t want = channel_allowance(channel);
    uint64_t limit = process->output_limit - (output->seen - output->dropped);
    if (want > limit)
        want = limit;
    if (output->due >= 0 && want > (uint64_t)output->due)
        want = (uint64_t)output->due;
    uint8_t *bytes = outbox_payload(&agent->outbox);
    ssize_t got = process->terminal ? terminal_read(output->fd, bytes, want)
                                    : read(output->fd, bytes, want);
    if (got > 0)
        channel_send_data(agent, channel, (uint8_t)(STREAM_OUT + (output - process->output)),
                          (uint32_t)got);
    return got;
}

static bool output_wanted(const struct agent *agent, const struct channel *channel,
                          const struct output *output)
{
    const struct process *process = channel->state;
    return output->fd >= 0 && (over_limit(process, output) || channel_may_send(agent, channel));
}

static void output_pump(struct agent *agent, struct channel *channel, unsigned at)
{
    struct process *process = channel->state;
    struct output *output = &process->output[at];
    if (!output_wanted(agent, channel, output))
        return;
    ssize_t got = over_limit(process, output) ? output_drop(output)
                                              : output_forward(agent, channel, output);
    if (got < 0 && errno == EINTR)
        return;
    if (got < 0 && errno == EAGAIN && !(process->terminal && process->bounded))
        return;
    if (got > 0) {
        output->seen += (uint64_t)got;
        if (output->due >= 0)
            output->due = output->due > got ? output->due - got : 0;
    }
    if (got <= 0 || output->due == 0)
        output_end(agent, channel, at);
}

/* --- start and end ----------------------------------------------------------------------- */

static void send_opened(struct agent *agent, struct channel *channel)
{
    struct process *process = channel->state;
    uint8_t bytes[16];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_PID, (uint32_t)process->started_as);
    agent_send(agent, FRAME_OPENED, 0, channel->id, (struct slice){bytes, (uint32_t)writer.length});
}

/* The pipe closes without a word when exec succeeded. */
static void check_start(struct agent *agent, struct channel *channel)
{
    struct process *process = channel->state;
    struct launch_failure failure;
    ssize_t got = read(process->starting, &failure, sizeof failure);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close_fd(&process->starting);
    if (got == sizeof failure) {
        char text[128];
        snprintf(text, sizeof text, "%s: %s", launch_step_name(failure.step),
                 strerror(failure.error));
        channel_fail(agent, channel, failure.error, text);
    } else if (!channel->detached) {
        send_opened(agent, channel);
    }
}

static uint64_t micros(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void send_exit(struct agent *agent, struct channel *channel)
{
    struct process *process = channel->state;
    uint8_t bytes[256];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    bool killed = WIFSIGNALED(process->status);
    tlv_u32(&writer, TAG_CODE, killed ? 0 : (uint32_t)WEXITSTATUS(process->status));
    tlv_u32(&writer, TAG_SIGNAL, killed ? (uint32_t)WTERMSIG(process->status) : 0);
    tlv_u64(&writer, TAG_USER_US, micros(process->usage.ru_utime));
    tlv_u64(&writer, TAG_SYSTEM_US, micros(process->usage.ru_stime));
    tlv_u64(&writer, TAG_MAX_RSS_KIB, (uint64_t)process->usage.ru_maxrss);
    tlv_u64(&writer, TAG_WALL_US, process->wall_us);
    tlv_u64(&writer, TAG_STDOUT_SEEN, process->output[0].seen);
    tlv_u64(&writer, TAG_STDOUT_DROPPED, process->output[0].dropped);
    tlv_u64(&writer, TAG_STDERR_SEEN, process->output[1].seen);
    tlv_u64(&writer, TAG_STDERR_DROPPED, process->output[1].dropped);
    tlv_u32(&writer, TAG_OOM_KILLS, process->oom_kills);
    tlv_u32(&writer, TAG_PROCESSES, process->left);
    channel_finish(agent, channel, FRAME_EXIT, (struct slice){bytes, (uint32_t)writer.length});
}

static void add_usage(struct process *process, const struct rusage *usage)
{
    timeradd(&process->usage.ru_utime, &usage->ru_utime, &process->usage.ru_utime);
    timeradd(&process->usage.ru_stime, &usage->ru_stime, &process->usage.ru_stime);
    if (process->usage.ru_maxrss < usage->ru_maxrss)
        process->usage.ru_maxrss = usage->ru_maxrss;
}

static struct process *process_of_pid(struct agent *agent, pid_t pid)
{
    struct process *lone = NULL;
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct process *process = process_of(agent->channels[at]);
        if (process && process->pid == pid)
            return process;
        if (process && process->alone)
            lone = process;
    }
    return lone;
}

void process_reaped(struct agent *agent, pid_t pid, int status, const struct rusage *usage)
{
    struct process *process = process_of_pid(agent, pid);
    if (!process)
        return;
    add_usage(process, usage);
    if (process->pid != pid)
        return;
    process->pid = 0;
    process->status = status;
    process->wall_us = elapsed_us(&process->start);
    process->oom_kills = oom_kills() - process->oom_kills;
}

/* A lone run's pipes end with its last process. Other pipes, and terminals, may live on in
 * background processes: then only what is there already belongs to the process. A terminal does not
 * tell how much that is: it is read until it is empty, or as much as it can hold was read. */
static void bound_output(const struct agent *agent, struct process *process)
{
    process->bounded = true;
    if (process->terminal)
        process->output[0].due = TERMINAL_HELD_MAX;
    if (process->terminal || (process->alone && agent->is_init))
        return;
    for (unsigned at = 0; at < 2; at++) {
        struct output *output = &process->output[at];
        int ready = 0;
        if (output->fd >= 0 && ioctl(output->fd, FIONREAD, &ready) == 0)
            output->due = ready;
    }
}

/* Once the process is reaped: its last output, the ends of its streams, then EXIT. */
static bool process_work(struct agent *agent, struct channel *channel)
{
    struct process *process = channel->state;
    if (process->pid != 0 || channel->detached)
        return false;
    if (process->starting >= 0)
        check_start(agent, channel);
    if (channel->finished)
        return false;
    if (!process->bounded)
        bound_output(agent, process);
    bool drained = true;
    for (unsigned at = 0; at < 2; at++) {
        if (process->output[at].fd >= 0 && process->output[at].due == 0)
            output_end(agent, channel, at);
        while (process->terminal && output_wanted(agent, channel, &process->output[at]))
            output_pump(agent, channel, at);
        drained = drained && process->output[at].fd < 0;
    }
    if (drained)
        send_exit(agent, channel);
    return false;
}

void processes_settle(struct agent *agent)
{
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct process *process = process_of(agent->channels[at]);
        if (!process || process->pid != 0 || !process->alone || process->swept)
            continue;
        process->swept = true;
        process->left = kill_everything(agent);
    }
}

/* --- the channel ------------------------------------------------------------------------- */

static unsigned process_interest(struct agent *agent, struct channel *channel, struct pollfd *fds)
{
    struct process *process = channel->state;
    unsigned count = 0;
    if (process->starting >= 0)
        fds[count++] = (struct pollfd){process->starting, POLLIN, 0};
    if (process->input >= 0 && !process->terminal && !inbox_empty(&process->inbox))
        fds[count++] = (struct pollfd){process->input, POLLOUT, 0};
    for (unsigned at = 0; at < 2; at++) {
        short events = output_wanted(agent, channel, &process->output[at]) ? POLLIN : 0;
        if (at == 0 && process->terminal && !inbox_empty(&process->inbox))
            events |= POLLOUT;
        if (process->output[at].fd >= 0 && events)
            fds[count++] = (struct pollfd){process->output[at].fd, events, 0};
    }
    return count;
}

static void process_ready(struct agent *agent, struct channel *channel, struct pollfd fd)
{
    struct process *process = channel->state;
    if (fd.fd == process->starting) {
        check_start(agent, channel);
        return;
    }
    if (fd.fd == process->input && fd.events & POLLOUT) {
        inbox_flush(agent, channel, &process->inbox, process->input);
        input_end(process);
    }
    for (unsigned at = 0; at < 2; at++)
        if (fd.fd == process->output[at].fd && fd.events & POLLIN)
            output_pump(agent, channel, at);
}

static void process_free(struct agent *agent, struct process *process)
{
    if (process->pid > 0) {
        signal_group(process->pid, SIGKILL);
        kill(process->pid, SIGKILL);
        if (process->alone)
            kill_everything(agent);
    }
    if (!process->terminal)
        close_fd(&process->input);
    close_fd(&process->starting);
    close_fd(&process->output[0].fd);
    close_fd(&process->output[1].fd);
    inbox_free(&process->inbox);
    free(process);
}

static void process_destroy(struct agent *agent, struct channel *channel)
{
    process_free(agent, channel->state);
}

const struct channel_ops process_ops = {
    .data = process_data,
    .eof = process_eof,
    .interest = process_interest,
    .ready = process_ready,
    .work = process_work,
    .destroy = process_destroy,
};

struct channel *process_find_key(struct agent *agent, struct slice key)
{
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct process *process = process_of(agent->channels[at]);
        if (process && !agent->channels[at]->finished && strlen(process->key) == key.length &&
            key.length > 0 && memcmp(process->key, key.bytes, key.length) == 0)
            return agent->channels[at];
    }
    return NULL;
}

void process_detach(struct channel *channel)
{
    struct process *process = channel->state;
    channel->detached = true;
    inbox_free(&process->inbox);
    input_end(process);
}

void process_adopt(struct agent *agent, uint32_t id, struct slice key)
{
    struct channel *channel = process_find_key(agent, key);
    if (!channel || !channel->detached) {
        agent_refuse(agent, id, channel ? EBUSY : ENOENT,
                     channel ? "the process is attached" : "no kept process has this key");
        return;
    }
    channel_attach(agent, channel, id);
    struct process *process = channel->state;
    if (process->starting < 0)
        send_opened(agent, channel);
    for (unsigned at = 0; at < 2; at++)
        if (process->output[at].fd < 0)
            channel_send_eof(agent, channel, (uint8_t)(STREAM_OUT + at));
}
