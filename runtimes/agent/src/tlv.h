/* Fields of a payload: u8 tag, u32 length, bytes. */
#ifndef TLV_H
#define TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

struct tlv {
    uint8_t tag;
    struct slice value;
};

/* Takes the first field off `rest`: 1, or 0 at the end, or -1 when it is cut short. */
int tlv_next(struct slice *rest, struct tlv *field);

struct tlv_writer {
    uint8_t *bytes;
    size_t length, capacity;
};

/* Fields that no longer fit are left out: writers size their buffer for the worst case. */
void tlv_bytes(struct tlv_writer *writer, uint8_t tag, const void *bytes, size_t length);
void tlv_u32(struct tlv_writer *writer, uint8_t tag, uint32_t value);
void tlv_u64(struct tlv_writer *writer, uint8_t tag, uint64_t value);

#endif
