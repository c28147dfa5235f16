/* OPEN of kind DATAGRAMS: a UDP socket inside the sandbox that talks to one port there.
 *
 * Each DATA frame is a zero byte and a datagram, so that an empty one is a frame, too. As with UDP
 * anywhere, what cannot go on at once is lost, and nobody is told.
 */
#include "datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"

struct datagrams {
    int fd;
};

static void datagrams_data(struct agent *agent, struct channel *channel, struct slice bytes)
{
    const struct datagrams *datagrams = channel->state;
    if (bytes.length == 0 || bytes.bytes[0] != 0) {
        channel_fail(agent, channel, EPROTO, "not a datagram");
        return;
    }
    send(datagrams->fd, bytes.bytes + 1, bytes.length - 1, MSG_NOSIGNAL);
    channel_consumed(agent, channel, bytes.length);
}

static unsigned datagrams_interest(struct agent *agent, struct channel *channel,
                                   struct pollfd *fds)
{
    const struct datagrams *datagrams = channel->state;
    if (!channel_may_send(agent, channel))
        return 0;
    fds[0] = (struct pollfd){datagrams->fd, POLLIN, 0};
    return 1;
}

/* Errors are of datagrams sent before: nobody listened, most likely. */
static void datagrams_ready(struct agent *agent, struct channel *channel, struct pollfd fd)
{
    if (!channel_may_send(agent, channel))
        return;
    uint8_t *payload = outbox_payload(&agent->outbox);
    uint32_t room = channel_allowance(channel) - 1;
    ssize_t got = recv(fd.fd, payload + 1, room, MSG_TRUNC);
    if (got < 0 || (size_t)got > room)
        return;
    payload[0] = 0;
    channel_send_data(agent, channel, STREAM_OUT, (uint32_t)got + 1);
}

static void datagrams_destroy(struct agent *agent, struct channel *channel)
{
    (void)agent;
    struct datagrams *datagrams = channel->state;
    close(datagrams->fd);
    free(datagrams);
}

static const struct channel_ops datagrams_ops = {
    .data = datagrams_data,
    .interest = datagrams_interest,
    .ready = datagrams_ready,
    .destroy = datagrams_destroy,
};

bool is_datagrams(const struct channel *channel)
{
    return channel->ops == &datagrams_ops;
}

static int talk_to(const union address *address, socklen_t size)
{
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &address->any, size) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void open_datagrams(struct agent *agent, uint32_t id, const struct request *request)
{
    union address address;
    socklen_t size = request_has(request, TAG_PORT) ? address_of_port(request, &address) : 0;
    if (size == 0) {
        agent_refuse(agent, id, EINVAL, "not an address to talk to");
        return;
    }
    int fd = talk_to(&address, size);
    if (fd < 0) {
        agent_refuse(agent, id, errno, strerror(errno));
        return;
    }
    struct datagrams *datagrams = malloc(sizeof *datagrams);
    struct channel *channel =
        datagrams ? channel_open(agent, id, &datagrams_ops, datagrams) : NULL;
    if (!channel) {
        free(datagrams);
        close(fd);
        agent_refuse(agent, id, EMFILE, "too many channels");
        return;
    }
    datagrams->fd = fd;
    channel_opened(agent, channel, 0);
}
