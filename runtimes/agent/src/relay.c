/* OPEN of kinds CONNECT and LISTEN: connections inside the sandbox, carried as channels. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "datagrams.h"
#include "files.h"
#include "inbox.h"
#include "relay.h"
#include "tlv.h"

enum { ACCEPTED_MAX = 64, BACKLOG = 64 };

struct relay {
    int fd;
    bool connecting, input_ended, output_ended;
    struct inbox inbox;
};

struct listener {
    int fd;
};

/* --- a connection ------------------------------------------------------------------------ */

static void relay_settle(struct agent *agent, struct channel *channel)
{
    struct relay *relay = channel->state;
    if (relay->input_ended && relay->output_ended && inbox_empty(&relay->inbox))
        channel_finish(agent, channel, FRAME_CLOSE, (struct slice){0});
}

static void relay_input_end(struct agent *agent, struct channel *channel)
{
    struct relay *relay = channel->state;
    if (!relay->input_ended || relay->connecting || !inbox_empty(&relay->inbox))
        return;
    shutdown(relay->fd, SHUT_WR);
    relay_settle(agent, channel);
}

static void relay_data(struct agent *agent, struct channel *channel, struct slice bytes)
{
    struct relay *relay = channel->state;
    if (relay->input_ended)
        channel_fail(agent, channel, EPROTO, "data after the end of the stream");
    else
        inbox_write(agent, channel, &relay->inbox, relay->fd, bytes);
}

static void relay_eof(struct agent *agent, struct channel *channel)
{
    struct relay *relay = channel->state;
    relay->input_ended = true;
    relay_input_end(agent, channel);
}

static unsigned relay_interest(struct agent *agent, struct channel *channel, struct pollfd *fds)
{
    struct relay *relay = channel->state;
    short events = 0;
    if (relay->connecting || !inbox_empty(&relay->inbox))
        events |= POLLOUT;
    if (!relay->connecting && !relay->output_ended && channel_may_send(agent, channel))
        events |= POLLIN;
    if (events == 0)
        return 0;
    fds[0] = (struct pollfd){relay->fd, events, 0};
    return 1;
}

static void relay_connected(struct agent *agent, struct channel *channel)
{
    struct relay *relay = channel->state;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(relay->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0) {
        channel_fail(agent, channel, error, strerror(error));
        return;
    }
    relay->connecting = false;
    channel_opened(agent, channel, 0);
}

static void relay_receive(struct agent *agent, struct channel *channel)
{
    struct relay *relay = channel->state;
    if (!channel_may_send(agent, channel))
        return;
    ssize_t got = recv(relay->fd, outbox_payload(&agent->outbox), channel_allowance(channel), 0);
    if (got > 0) {
        channel_send_data(agent, channel, STREAM_OUT, (uint32_t)got);
    } else if (got == 0 && relay->inbox.broken) {
        /* The failed write has used up the socket's error; what came before it was read first. */
        channel_fail(agent, channel, ECONNRESET, strerror(ECONNRESET));
    } else if (got == 0) {
        relay->output_ended = true;
        channel_send_eof(agent, channel, STREAM_OUT);
        relay_settle(agent, channel);
    } else if (errno != EAGAIN && errno != EINTR) {
        channel_fail(agent, channel, errno, strerror(errno));
    }
}

static void relay_ready(struct agent *agent, struct channel *channel, struct pollfd fd)
{
    struct relay *relay = channel->state;
    if (relay->connecting)
        relay_connected(agent, channel);
    if (relay->connecting || channel->finished)
        return;
    if (!inbox_empty(&relay->inbox))
        inbox_flush(agent, channel, &relay->inbox, relay->fd);
    relay_input_end(agent, channel);
    if (fd.events & POLLIN && !channel->finished)
        relay_receive(agent, channel);
}

static void relay_destroy(struct agent *agent, struct channel *channel)
{
    (void)agent;
    struct relay *relay = channel->state;
    close(relay->fd);
    inbox_free(&relay->inbox);
    free(relay);
}

static const struct channel_ops relay_ops = {
    .data = relay_data,
    .eof = relay_eof,
    .interest = relay_interest,
    .ready = relay_ready,
    .destroy = relay_destroy,
};

/* Owns `fd` from here on, also when there is no channel for it. */
static struct channel *relay_open(struct agent *agent, uint32_t id, int fd)
{
    struct relay *relay = calloc(1, sizeof *relay);
    struct channel *channel = relay ? channel_open(agent, id, &relay_ops, relay) : NULL;
    if (!channel) {
        free(relay);
        close(fd);
        return NULL;
    }
    relay->fd = fd;
    return channel;
}

/* --- connecting -------------------------------------------------------------------------- */

/* A path is walked with the rights of the user it belongs to, and with no others. */
static int connect_as(int fd, const struct request *request, const union address *address,
                      socklen_t size)
{
    if (address->any.sa_family != AF_UNIX)
        return connect(fd, &address->any, size);
    if (!request_has(request, TAG_UID) || !request_has(request, TAG_GID)) {
        errno = EINVAL;
        return -1;
    }
    if (!assume_identity(request->uid, request->gid))
        return -1;
    int connected = connect(fd, &address->any, size);
    resume_identity();
    return connected;
}

void open_connect(struct agent *agent, uint32_t id, const struct request *request)
{
    union address address;
    socklen_t size = address_parse(request, &address);
    if (size == 0) {
        agent_refuse(agent, id, EINVAL, "not an address to connect to");
        return;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool under_way = fd >= 0 && (connect_as(fd, request, &address, size) == 0 ||
                                 (errno == EINPROGRESS && address.any.sa_family != AF_UNIX));
    if (!under_way) {
        agent_refuse(agent, id, errno, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    struct channel *channel = relay_open(agent, id, fd);
    if (channel)
        ((struct relay *)channel->state)->connecting = true;
    else
        agent_refuse(agent, id, EMFILE, "too many channels");
}

/* --- listening --------------------------------------------------------------------------- */

static unsigned accepted_count(const struct agent *agent)
{
    unsigned count = 0;
    for (unsigned at = 0; at < agent->channel_count; at++)
        count += agent->channels[at]->id >= OWN_CHANNELS;
    return count;
}

/* While too many are open, further ones wait in the kernel's queue. */
static unsigned listener_interest(struct agent *agent, struct channel *channel, struct pollfd *fds)
{
    const struct listener *listener = channel->state;
    if (accepted_count(agent) >= ACCEPTED_MAX || agent->next_own == UINT32_MAX)
        return 0;
    fds[0] = (struct pollfd){listener->fd, POLLIN, 0};
    return 1;
}

static void announce(struct agent *agent, uint32_t id, uint32_t listener,
                     const union address *peer)
{
    char text[INET6_ADDRSTRLEN] = "";
    const void *from = peer->any.sa_family == AF_INET6 ? (const void *)&peer->v6.sin6_addr
                                                       : (const void *)&peer->v4.sin_addr;
    inet_ntop(peer->any.sa_family, from, text, sizeof text);
    uint8_t bytes[96];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_KIND, OPEN_ACCEPTED);
    tlv_u32(&writer, TAG_LISTENER, listener);
    tlv_bytes(&writer, TAG_ADDRESS, text, strlen(text));
    tlv_u32(&writer, TAG_PORT, address_port(peer));
    agent_send(agent, FRAME_OPEN, 0, id, (struct slice){bytes, (uint32_t)writer.length});
}

static void listener_ready(struct agent *agent, struct channel *channel, struct pollfd ready)
{
    union address peer = {0};
    socklen_t size = sizeof peer;
    if (accepted_count(agent) >= ACCEPTED_MAX)
        return;
    int fd = accept4(ready.fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (relay_open(agent, agent->next_own, fd))
        announce(agent, agent->next_own++, channel->id, &peer);
}

static void listener_destroy(struct agent *agent, struct channel *channel)
{
    (void)agent;
    struct listener *listener = channel->state;
    close(listener->fd);
    free(listener);
}

static const struct channel_ops listener_ops = {
    .interest = listener_interest,
    .ready = listener_ready,
    .destroy = listener_destroy,
};

static int make_listener(const union address *address, socklen_t size)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, &address->any, size) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void open_listen(struct agent *agent, uint32_t id, const struct request *request)
{
    union address address;
    socklen_t size = request_has(request, TAG_PORT) ? address_of_port(request, &address) : 0;
    if (size == 0) {
        agent_refuse(agent, id, EINVAL, "not an address to listen on");
        return;
    }
    int fd = make_listener(&address, size);
    if (fd < 0) {
        agent_refuse(agent, id, errno, strerror(errno));
        return;
    }
    struct listener *listener = malloc(sizeof *listener);
    struct channel *channel = listener ? channel_open(agent, id, &listener_ops, listener) : NULL;
    if (!channel) {
        free(listener);
        close(fd);
        agent_refuse(agent, id, EMFILE, "too many channels");
        return;
    }
    listener->fd = fd;
    getsockname(fd, &address.any, &size);
    channel_opened(agent, channel, address_port(&address));
}

/* --- for CLEAN --------------------------------------------------------------------------- */

/* Whoever made them is dead, and what comes next is not to be taken for it. */
static void drop_waiting(const struct listener *listener)
{
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
}

void relays_close(struct agent *agent)
{
    for (unsigned at = 0; at < agent->channel_count; at++) {
        struct channel *channel = agent->channels[at];
        if (channel->ops == &relay_ops || is_datagrams(channel))
            channel_finish(agent, channel, FRAME_CLOSE, (struct slice){0});
        else if (channel->ops == &listener_ops)
            drop_waiting(channel->state);
    }
    channels_sweep(agent);
}

unsigned listeners_count(const struct agent *agent)
{
    unsigned count = 0;
    for (unsigned at = 0; at < agent->channel_count; at++)
        count += agent->channels[at]->ops == &listener_ops;
    return count;
}
