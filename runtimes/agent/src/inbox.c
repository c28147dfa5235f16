#include "inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

bool inbox_empty(const struct inbox *inbox)
{
    return inbox->start == inbox->end;
}

/* Bytes used up: written, or dropped because nobody reads them. */
static uint32_t take(struct inbox *inbox, int fd, struct slice bytes)
{
    uint32_t used = 0;
    while (used < bytes.length && !inbox->broken) {
        ssize_t sent = write(fd, bytes.bytes + used, bytes.length - used);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return used;
        if (sent < 0)
            inbox->broken = true;
        else
            used += (uint32_t)sent;
    }
    return bytes.length;
}

/* Credit bounds what is kept to a window, so a fresh buffer of one window always has room. */
static void keep(struct agent *agent, struct inbox *inbox, struct slice bytes)
{
    if (!inbox->bytes) {
        inbox->capacity = agent->window;
        inbox->bytes = malloc(inbox->capacity);
        inbox->start = inbox->end = 0;
    }
    if (inbox->bytes && inbox->capacity - inbox->end < bytes.length) {
        memmove(inbox->bytes, inbox->bytes + inbox->start, inbox->end - inbox->start);
        inbox->end -= inbox->start;
        inbox->start = 0;
    }
    if (!inbox->bytes || inbox->capacity - inbox->end < bytes.length) {
        inbox->broken = true;
        return;
    }
    memcpy(inbox->bytes + inbox->end, bytes.bytes, bytes.length);
    inbox->end += bytes.length;
}

void inbox_write(struct agent *agent, struct channel *channel, struct inbox *inbox, int fd,
                 struct slice bytes)
{
    uint32_t used = inbox_empty(inbox) ? take(inbox, fd, bytes) : 0;
    bytes.bytes += used;
    bytes.length -= used;
    if (bytes.length > 0)
        keep(agent, inbox, bytes);
    channel_consumed(agent, channel, used);
}

void inbox_flush(struct agent *agent, struct channel *channel, struct inbox *inbox, int fd)
{
    struct slice kept = {inbox->bytes + inbox->start, inbox->end - inbox->start};
    uint32_t used = take(inbox, fd, kept);
    inbox->start += used;
    if (inbox_empty(inbox))
        inbox_free(inbox);
    channel_consumed(agent, channel, used);
}

void inbox_free(struct inbox *inbox)
{
    free(inbox->bytes);
    inbox->bytes = NULL;
    inbox->start = inbox->end = 0;
}
