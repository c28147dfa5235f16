#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "crc32.h"

enum { CHECKSUM_AT = 16 };

static void decoder_compact(struct decoder *decoder)
{
    if (decoder->start == 0)
        return;
    memmove(decoder->buffer, decoder->buffer + decoder->start, decoder->end - decoder->start);
    decoder->end -= decoder->start;
    decoder->start = 0;
}

ssize_t decoder_fill(struct decoder *decoder, int fd)
{
    decoder_compact(decoder);
    ssize_t got = read(fd, decoder->buffer + decoder->end, sizeof decoder->buffer - decoder->end);
    if (got > 0)
        decoder->end += (size_t)got;
    return got;
}

size_t decoder_push(struct decoder *decoder, const void *bytes, size_t length)
{
    decoder_compact(decoder);
    size_t room = sizeof decoder->buffer - decoder->end;
    if (length > room)
        length = room;
    memcpy(decoder->buffer + decoder->end, bytes, length);
    decoder->end += length;
    return length;
}

static void decoder_skip(struct decoder *decoder, size_t count)
{
    decoder->start += count;
    decoder->skipped += count;
}

/* Moves to the next 'U' that may begin a header; false when there is none yet. */
static bool decoder_seek(struct decoder *decoder)
{
    size_t left = decoder->end - decoder->start;
    const uint8_t *from = decoder->buffer + decoder->start;
    const uint8_t *found = left > 0 ? memchr(from, 'U', left) : NULL;
    decoder_skip(decoder, found ? (size_t)(found - from) : left);
    return found != NULL;
}

static uint32_t frame_checksum(const uint8_t *header, uint32_t length)
{
    return crc32(crc32(0, header, CHECKSUM_AT), header + HEADER_SIZE, length);
}

bool decoder_next(struct decoder *decoder, struct frame *frame)
{
    while (decoder_seek(decoder)) {
        const uint8_t *header = decoder->buffer + decoder->start;
        size_t left = decoder->end - decoder->start;
        if (left > 1 && header[1] != 'B') {
            decoder_skip(decoder, 1);
            continue;
        }
        if (left < HEADER_SIZE)
            return false;
        uint32_t length = get_u32(header + 12);
        if (length > PAYLOAD_MAX) {
            decoder_skip(decoder, 1);
            continue;
        }
        if (left < HEADER_SIZE + length)
            return false;
        if (frame_checksum(header, length) != get_u32(header + CHECKSUM_AT)) {
            decoder_skip(decoder, 1);
            continue;
        }
        *frame = (struct frame){
            .type = header[2],
            .flags = header[3],
            .channel = get_u32(header + 4),
            .epoch = get_u32(header + 8),
            .payload = {header + HEADER_SIZE, length},
        };
        decoder->start += HEADER_SIZE + length;
        return true;
    }
    return false;
}

size_t outbox_room(const struct outbox *outbox)
{
    return sizeof outbox->buffer - (outbox->end - outbox->start);
}

/* A place for `length` more bytes. Callers keep OUTBOX_RESERVE free, so that it is always there. */
static uint8_t *outbox_reserve(struct outbox *outbox, size_t length)
{
    if (outbox_room(outbox) < length)
        abort();
    if (sizeof outbox->buffer - outbox->end < length) {
        memmove(outbox->buffer, outbox->buffer + outbox->start, outbox->end - outbox->start);
        outbox->end -= outbox->start;
        outbox->start = 0;
    }
    return outbox->buffer + outbox->end;
}

uint8_t *outbox_payload(struct outbox *outbox)
{
    return outbox_reserve(outbox, FRAME_MAX) + HEADER_SIZE;
}

void outbox_commit(struct outbox *outbox, const struct frame *frame, uint32_t length)
{
    uint8_t *header = outbox->buffer + outbox->end;
    header[0] = 'U';
    header[1] = 'B';
    header[2] = frame->type;
    header[3] = frame->flags;
    put_u32(header + 4, frame->channel);
    put_u32(header + 8, frame->epoch);
    put_u32(header + 12, length);
    put_u32(header + CHECKSUM_AT, frame_checksum(header, length));
    outbox->end += HEADER_SIZE + length;
}

void outbox_put(struct outbox *outbox, const struct frame *frame)
{
    uint32_t length = frame->payload.length;
    uint8_t *header = outbox_reserve(outbox, HEADER_SIZE + length);
    if (length > 0)
        memcpy(header + HEADER_SIZE, frame->payload.bytes, length);
    outbox_commit(outbox, frame, length);
}

void outbox_pad(struct outbox *outbox)
{
    memset(outbox_reserve(outbox, FRAME_MAX), 0, FRAME_MAX);
    outbox->end += FRAME_MAX;
}

bool outbox_flush(struct outbox *outbox, int fd)
{
    while (outbox->start < outbox->end) {
        ssize_t sent = write(fd, outbox->buffer + outbox->start, outbox->end - outbox->start);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN;
        outbox->start += (size_t)sent;
    }
    outbox->start = outbox->end = 0;
    return true;
}
