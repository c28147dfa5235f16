#include <stdlib.h>

#include "agent.h"
#include "tlv.h"

void agent_send(struct agent *agent, uint8_t type, uint8_t flags, uint32_t channel,
                struct slice payload)
{
    struct frame frame = {type, flags, channel, agent->epoch, payload};
    outbox_put(&agent->outbox, &frame);
}

struct channel *channel_find(struct agent *agent, uint32_t id)
{
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct channel *channel = agent->channels[at];
        if (channel->id == id && !channel->finished && !channel->detached)
            return channel;
    }
    return NULL;
}

struct channel *channel_open(struct agent *agent, uint32_t id, const struct channel_ops *ops,
                             void *state)
{
    if (agent->channel_count == CHANNELS_MAX)
        return NULL;
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    channel->ops = ops;
    channel->state = state;
    channel_attach(agent, channel, id);
    agent->channels[agent->channel_count++] = channel;
    return channel;
}

void channel_attach(struct agent *agent, struct channel *channel, uint32_t id)
{
    channel->id = id;
    channel->detached = false;
    channel->send_credit = channel->recv_credit = agent->window;
    channel->owed = 0;
}

bool channel_may_send(const struct agent *agent, const struct channel *channel)
{
    return channel->send_credit > 0 && !channel->detached && !channel->finished &&
           outbox_room(&agent->outbox) >= FRAME_MAX + OUTBOX_RESERVE;
}

uint32_t channel_allowance(const struct channel *channel)
{
    return channel->send_credit < PAYLOAD_MAX ? channel->send_credit : PAYLOAD_MAX;
}

void channel_send_data(struct agent *agent, struct channel *channel, uint8_t stream,
                       uint32_t length)
{
    struct frame frame = {FRAME_DATA, stream, channel->id, agent->epoch, {0}};
    outbox_commit(&agent->outbox, &frame, length);
    channel->send_credit -= length;
}

void channel_send_eof(struct agent *agent, struct channel *channel, uint8_t stream)
{
    if (!channel->detached)
        agent_send(agent, FRAME_EOF, stream, channel->id, (struct slice){0});
}

void channel_consumed(struct agent *agent, struct channel *channel, uint32_t length)
{
    channel->owed += length;
    if (channel->detached || channel->finished || channel->owed < agent->window / 4)
        return;
    uint8_t payload[4];
    put_u32(payload, channel->owed);
    agent_send(agent, FRAME_CREDIT, 0, channel->id, (struct slice){payload, sizeof payload});
    channel->recv_credit += channel->owed;
    channel->owed = 0;
}

void channel_opened(struct agent *agent, const struct channel *channel, uint16_t port)
{
    uint8_t bytes[16];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_PORT, port);
    agent_send(agent, FRAME_OPENED, 0, channel->id, (struct slice){bytes, (uint32_t)writer.length});
}

void channel_finish(struct agent *agent, struct channel *channel, uint8_t type,
                    struct slice payload)
{
    if (channel->finished)
        return;
    /* Nobody of this epoch knows a detached channel yet. */
    if (!channel->detached)
        agent_send(agent, type, 0, channel->id, payload);
    channel->finished = true;
}

static struct slice error_payload(uint8_t *bytes, size_t capacity, int error, const char *text)
{
    struct tlv_writer writer = {.bytes = bytes, .capacity = capacity};
    tlv_u32(&writer, TAG_ERRNO, (uint32_t)error);
    tlv_bytes(&writer, TAG_TEXT, text, strnlen(text, capacity / 2));
    return (struct slice){bytes, (uint32_t)writer.length};
}

void channel_fail(struct agent *agent, struct channel *channel, int error, const char *text)
{
    uint8_t bytes[256];
    channel_finish(agent, channel, FRAME_ERROR, error_payload(bytes, sizeof bytes, error, text));
}

void agent_refuse(struct agent *agent, uint32_t channel, int error, const char *text)
{
    uint8_t bytes[256];
    agent_send(agent, FRAME_ERROR, 0, channel, error_payload(bytes, sizeof bytes, error, text));
}

/* They leave the table first: destroying one may reap processes, and so walk the table. */
void channels_sweep(struct agent *agent)
{
    struct channel *finished[CHANNELS_MAX];
    unsigned kept = 0, gone = 0;
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct channel *channel = agent->channels[at];
        if (channel->finished)
            finished[gone++] = channel;
        else
            agent->channels[kept++] = channel;
    }
    agent->channel_count = kept;
    while (gone-- > 0) {
        finished[gone]->ops->destroy(agent, finished[gone]);
        free(finished[gone]);
    }
}
