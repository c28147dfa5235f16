/* Bytes on their way to a descriptor that does not take them all at once: at most one window. */
#ifndef INBOX_H
#define INBOX_H

#include "agent.h"

struct inbox {
    uint8_t *bytes; /* allocated while it holds something */
    uint32_t start, end, capacity;
    bool broken; /* the descriptor's reader is gone: everything is dropped */
};

bool inbox_empty(const struct inbox *inbox);

/* Writes what `fd` takes and keeps the rest; grants credit for what was used up. */
void inbox_write(struct agent *agent, struct channel *channel, struct inbox *inbox, int fd,
                 struct slice bytes);

/* Writes more of what was kept. */
void inbox_flush(struct agent *agent, struct channel *channel, struct inbox *inbox, int fd);

void inbox_free(struct inbox *inbox);

#endif
