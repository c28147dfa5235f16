/* What each frame of the emulator does. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "clean.h"
#include "kill.h"
#include "process.h"
#include "tlv.h"

static open_function *const openers[OPEN_KINDS] = {
    [OPEN_EXEC] = open_exec,       [OPEN_WRITE] = open_write,     [OPEN_MKDIR] = open_mkdir,
    [OPEN_SYMLINK] = open_symlink, [OPEN_READ] = open_read,       [OPEN_CONNECT] = open_connect,
    [OPEN_LISTEN] = open_listen,   [OPEN_DATAGRAMS] = open_datagrams,
};

static void forget_continued(struct agent *agent)
{
    free(agent->continued.bytes);
    agent->continued = (struct continued){0};
}

void agent_new_epoch(struct agent *agent, uint32_t epoch, uint32_t window)
{
    forget_continued(agent);
    agent->epoch = epoch;
    agent->window = window;
    agent->highest = 0;
    agent->next_own = OWN_CHANNELS;
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct channel *channel = agent->channels[at];
        const struct process *process = process_of(channel);
        if (process && process->key[0] != '\0' && !channel->finished)
            process_detach(channel);
        else
            channel->finished = true;
    }
    channels_sweep(agent);
}

static void answer_hello(struct agent *agent)
{
    static uint8_t bytes[PAYLOAD_MAX];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_VERSION, PROTOCOL_VERSION);
    tlv_bytes(&writer, TAG_BOOT_ID, agent->boot_id, sizeof agent->boot_id);
    for (unsigned at = 0; at < agent->channel_count; at++) {
        const struct process *process = process_of(agent->channels[at]);
        if (process)
            tlv_bytes(&writer, TAG_KEY, process->key, strlen(process->key));
    }
    outbox_pad(&agent->outbox);
    agent_send(agent, FRAME_HELLO, 0, 0, (struct slice){bytes, (uint32_t)writer.length});
}

static void on_hello(struct agent *agent, const struct frame *frame)
{
    struct request request;
    const char *wrong = request_parse(&request, frame->payload);
    uint32_t epoch = agent->epoch;
    agent->epoch = frame->epoch; /* a refusal is for the one who asks */
    if (!wrong && request.version != PROTOCOL_VERSION)
        wrong = "this agent speaks another version";
    if (!wrong && (request.window < WINDOW_MIN || request.window > WINDOW_MAX))
        wrong = "the window is out of bounds";
    if (wrong) {
        agent_refuse(agent, 0, EPROTO, wrong);
        agent->epoch = epoch;
        return;
    }
    agent_new_epoch(agent, frame->epoch, request.window);
    answer_hello(agent);
}

/* New channels have ids above all before them, so that none is ever used twice. */
static bool claim(struct agent *agent, uint32_t id)
{
    if (id == 0 || id >= OWN_CHANNELS || id <= agent->highest) {
        agent_refuse(agent, 0, EPROTO, "a channel id is not a new one");
        return false;
    }
    agent->highest = id;
    return true;
}

static void open_request(struct agent *agent, uint32_t id, struct slice payload)
{
    struct request request;
    const char *wrong = request_parse(&request, payload);
    open_function *open =
        !wrong && request.kind < OPEN_KINDS ? openers[request.kind] : NULL;
    if (wrong || !open)
        agent_refuse(agent, id, EINVAL, wrong ? wrong : "unknown kind of channel");
    else
        open(agent, id, &request);
}

static bool continue_with(struct continued *continued, struct slice payload)
{
    if (continued->length + payload.length > OPEN_MAX_BYTES)
        return false;
    if (continued->length + payload.length > continued->capacity) {
        uint32_t capacity = 2 * (continued->length + payload.length);
        uint8_t *bytes = realloc(continued->bytes, capacity);
        if (!bytes)
            return false;
        continued->bytes = bytes;
        continued->capacity = capacity;
    }
    if (payload.length > 0)
        memcpy(continued->bytes + continued->length, payload.bytes, payload.length);
    continued->length += payload.length;
    return true;
}

static void on_open(struct agent *agent, const struct frame *frame)
{
    struct continued *continued = &agent->continued;
    bool goes_on = continued->channel != 0 && continued->channel == frame->channel;
    if (!goes_on) {
        forget_continued(agent);
        if (!claim(agent, frame->channel))
            return;
    }
    if (!goes_on && !(frame->flags & FLAG_MORE)) {
        open_request(agent, frame->channel, frame->payload);
        return;
    }
    continued->channel = frame->channel;
    if (!continue_with(continued, frame->payload)) {
        agent_refuse(agent, frame->channel, E2BIG, "the request is too long");
        forget_continued(agent);
    } else if (!(frame->flags & FLAG_MORE)) {
        open_request(agent, frame->channel, (struct slice){continued->bytes, continued->length});
        forget_continued(agent);
    }
}

static void on_data(struct agent *agent, const struct frame *frame)
{
    struct channel *channel = channel_find(agent, frame->channel);
    if (!channel)
        return;
    if (!channel->ops->data) {
        channel_fail(agent, channel, EPROTO, "this channel takes no data");
    } else if (frame->payload.length > channel->recv_credit) {
        channel_fail(agent, channel, EPROTO, "more data than credit");
    } else {
        channel->recv_credit -= frame->payload.length;
        channel->ops->data(agent, channel, frame->payload);
    }
}

static void on_eof(struct agent *agent, const struct frame *frame)
{
    struct channel *channel = channel_find(agent, frame->channel);
    if (channel && channel->ops->eof)
        channel->ops->eof(agent, channel);
}

static void on_credit(struct agent *agent, const struct frame *frame)
{
    struct channel *channel = channel_find(agent, frame->channel);
    if (!channel)
        return;
    uint32_t grant = frame->payload.length == 4 ? get_u32(frame->payload.bytes) : 0;
    if (grant == 0 || grant > agent->window - channel->send_credit)
        channel_fail(agent, channel, EPROTO, "credit beyond the window");
    else
        channel->send_credit += grant;
}

static pid_t foreground_group(const struct process *process)
{
    pid_t group = 0;
    if (!process->terminal || ioctl(process->output[0].fd, TIOCGPGRP, &group) < 0)
        return 0;
    return group;
}

/* Signals to what has ended meanwhile are lost, as they are between processes. */
static void on_signal(struct agent *agent, const struct frame *frame)
{
    const struct channel *channel = channel_find(agent, frame->channel);
    const struct process *process = channel ? process_of(channel) : NULL;
    if (frame->payload.length != 2)
        return;
    int signo = frame->payload.bytes[0];
    switch (frame->payload.bytes[1]) {
    case SCOPE_ALL:
        signal_everything(agent, signo);
        break;
    case SCOPE_GROUP:
        if (process && process->pid > 0)
            signal_group(process->pid, signo);
        break;
    case SCOPE_FOREGROUND:
        if (process && process->pid > 0)
            signal_group(foreground_group(process), signo);
        break;
    default:
        break;
    }
}

static void on_resize(struct agent *agent, const struct frame *frame)
{
    const struct channel *channel = channel_find(agent, frame->channel);
    const struct process *process = channel ? process_of(channel) : NULL;
    if (!process || !process->terminal || frame->payload.length != 4)
        return;
    const struct winsize size = {.ws_col = get_u16(frame->payload.bytes),
                                 .ws_row = get_u16(frame->payload.bytes + 2)};
    ioctl(process->output[0].fd, TIOCSWINSZ, &size);
}

static void on_close(struct agent *agent, const struct frame *frame)
{
    struct channel *channel = channel_find(agent, frame->channel);
    if (channel)
        channel_finish(agent, channel, FRAME_CLOSE, (struct slice){0});
}

static void on_adopt(struct agent *agent, const struct frame *frame)
{
    struct request request;
    if (!claim(agent, frame->channel))
        return;
    const char *wrong = request_parse(&request, frame->payload);
    if (wrong)
        agent_refuse(agent, frame->channel, EINVAL, wrong);
    else
        process_adopt(agent, frame->channel, request.key);
}

static void on_clean(struct agent *agent, const struct frame *frame)
{
    struct request request;
    if (!claim(agent, frame->channel))
        return;
    const char *wrong = request_parse(&request, frame->payload);
    if (wrong)
        agent_refuse(agent, frame->channel, EINVAL, wrong);
    else
        clean(agent, frame->channel, &request);
}

static void on_ping(struct agent *agent, const struct frame *frame)
{
    struct slice echo = frame->payload;
    if (echo.length > PING_MAX)
        echo.length = PING_MAX;
    agent_send(agent, FRAME_PONG, 0, 0, echo);
}

typedef void frame_function(struct agent *, const struct frame *);

static frame_function *const handlers[] = {
    [FRAME_HELLO] = on_hello,   [FRAME_OPEN] = on_open,     [FRAME_DATA] = on_data,
    [FRAME_EOF] = on_eof,       [FRAME_CREDIT] = on_credit, [FRAME_SIGNAL] = on_signal,
    [FRAME_RESIZE] = on_resize, [FRAME_CLOSE] = on_close,   [FRAME_ADOPT] = on_adopt,
    [FRAME_CLEAN] = on_clean,   [FRAME_PING] = on_ping,
};

void agent_dispatch(struct agent *agent, const struct frame *frame)
{
    if (frame->epoch == 0 || (frame->type != FRAME_HELLO && frame->epoch != agent->epoch))
        return;
    size_t known = sizeof handlers / sizeof *handlers;
    frame_function *handle = frame->type < known ? handlers[frame->type] : NULL;
    if (handle)
        handle(agent, frame);
    else
        agent_refuse(agent, 0, EPROTO, "unknown type of frame");
    channels_sweep(agent);
}
