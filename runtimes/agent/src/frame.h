/* Frames in and out: a decoder that finds its feet again after garbage, and the one output queue. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"
#include "protocol.h"

struct frame {
    uint8_t type;
    uint8_t flags;
    uint32_t channel;
    uint32_t epoch;
    struct slice payload; /* points into the decoder; good until its next fill */
};

struct decoder {
    size_t start, end;
    uint64_t skipped; /* bytes thrown away while looking for a frame */
    uint8_t buffer[4 * FRAME_MAX];
};

/* Reads once from `fd`; what read() returned. The decoder must have been drained before. */
ssize_t decoder_fill(struct decoder *decoder, int fd);

/* Copies `length` bytes in; how many fitted. */
size_t decoder_push(struct decoder *decoder, const void *bytes, size_t length);

/* Takes the next whole frame; false when more bytes are needed. */
bool decoder_next(struct decoder *decoder, struct frame *frame);

struct outbox {
    size_t start, end;
    uint8_t buffer[512 * 1024];
};

/* Room for the answers to one frame is kept free before input is handled or data read. */
enum { OUTBOX_RESERVE = 128 * 1024 };

size_t outbox_room(const struct outbox *outbox);

/* Where a payload of up to PAYLOAD_MAX bytes may be written before outbox_commit(). */
uint8_t *outbox_payload(struct outbox *outbox);

/* Frames the first `length` bytes at outbox_payload() and queues them. */
void outbox_commit(struct outbox *outbox, const struct frame *header, uint32_t length);

/* Queues a frame with a copy of header->payload. */
void outbox_put(struct outbox *outbox, const struct frame *header);

/* Queues zero bytes that complete any frame a reader was left with half of. */
void outbox_pad(struct outbox *outbox);

/* Writes what the descriptor takes; false when it is gone. */
bool outbox_flush(struct outbox *outbox, int fd);

#endif
