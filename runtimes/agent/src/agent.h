/* The agent's whole state, and what channels of every kind share. */
#ifndef AGENT_H
#define AGENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "frame.h"
#include "protocol.h"
#include "request.h"

struct agent;
struct channel;

enum { CHANNEL_FDS = 4 };

/* What a kind of channel does. Absent operations are refused or ignored, as noted. */
struct channel_ops {
    /* Bytes for the channel, within its credit; absent: a protocol error. */
    void (*data)(struct agent *, struct channel *, struct slice bytes);
    /* No more bytes will come; absent: ignored. */
    void (*eof)(struct agent *, struct channel *);
    /* Fills in up to CHANNEL_FDS descriptors that are worth waiting for; how many. */
    unsigned (*interest)(struct agent *, struct channel *, struct pollfd *fds);
    /* One of them is ready. */
    void (*ready)(struct agent *, struct channel *, struct pollfd fd);
    /* Work that waits for no descriptor; true when there is more of it. */
    bool (*work)(struct agent *, struct channel *);
    /* Releases everything the channel holds; its processes are killed. */
    void (*destroy)(struct agent *, struct channel *);
};

struct channel {
    uint32_t id;
    uint32_t send_credit; /* bytes we may still send */
    uint32_t recv_credit; /* bytes the emulator may still send */
    uint32_t owed;        /* bytes used up and not yet granted again */
    bool detached;        /* kept over from an old epoch, not adopted yet */
    bool finished;        /* its last frame is queued */
    const struct channel_ops *ops;
    void *state;
};

/* A request that came in several OPEN frames; one at a time. */
struct continued {
    uint32_t channel, length, capacity;
    uint8_t *bytes;
};

struct agent {
    int in_fd, out_fd, signal_fd;
    bool is_init; /* PID 1 of its namespace: only then may it signal everything */
    bool ended;
    uint32_t epoch, window;
    uint32_t highest; /* the last channel id the emulator picked in this epoch */
    uint32_t next_own;
    uint8_t boot_id[16];
    struct continued continued;
    struct channel *channels[CHANNELS_MAX];
    unsigned channel_count;
    unsigned turn; /* where the next round over the channels starts */
    struct decoder decoder;
    struct outbox outbox;
};

/* Sends a frame of the current epoch. */
void agent_send(struct agent *agent, uint8_t type, uint8_t flags, uint32_t channel,
                struct slice payload);

/* NULL when `id` names no attached channel. */
struct channel *channel_find(struct agent *agent, uint32_t id);

/* A new channel with full credit both ways; NULL when there are too many or no memory. */
struct channel *channel_open(struct agent *agent, uint32_t id, const struct channel_ops *ops,
                             void *state);

/* Full credit both ways, under a new id and epoch. */
void channel_attach(struct agent *agent, struct channel *channel, uint32_t id);

/* True when up to PAYLOAD_MAX bytes may be read for this channel and sent now. */
bool channel_may_send(const struct agent *agent, const struct channel *channel);

/* How much one DATA frame of this channel may carry, for outbox_payload(). */
uint32_t channel_allowance(const struct channel *channel);

/* Sends the first `length` bytes at outbox_payload() as DATA. */
void channel_send_data(struct agent *agent, struct channel *channel, uint8_t stream,
                       uint32_t length);

void channel_send_eof(struct agent *agent, struct channel *channel, uint8_t stream);

/* Notes that `length` received bytes were used up, and grants credit in large steps. */
void channel_consumed(struct agent *agent, struct channel *channel, uint32_t length);

/* OPENED for a connection, or a listener on `port`. */
void channel_opened(struct agent *agent, const struct channel *channel, uint16_t port);

/* Ends the channel with its one last frame: EXIT, REPORT, ERROR or CLOSE. */
void channel_finish(struct agent *agent, struct channel *channel, uint8_t type,
                    struct slice payload);

/* Ends the channel with ERROR. */
void channel_fail(struct agent *agent, struct channel *channel, int error, const char *text);

/* ERROR for a channel that was never opened. */
void agent_refuse(struct agent *agent, uint32_t channel, int error, const char *text);

/* Releases channels that are finished. */
void channels_sweep(struct agent *agent);

/* What a kind of OPEN does: it opens the channel or refuses it. */
typedef void open_function(struct agent *, uint32_t channel, const struct request *);
open_function open_exec, open_write, open_mkdir, open_symlink, open_read, open_connect, open_listen,
    open_datagrams;

/* Handles one frame of the emulator. */
void agent_dispatch(struct agent *agent, const struct frame *frame);

/* Ends every channel of the old epoch but the kept processes. */
void agent_new_epoch(struct agent *agent, uint32_t epoch, uint32_t window);

#endif
