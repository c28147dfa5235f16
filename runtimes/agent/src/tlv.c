#include "tlv.h"

enum { TLV_HEADER = 5 };

int tlv_next(struct slice *rest, struct tlv *field)
{
    if (rest->length == 0)
        return 0;
    if (rest->length < TLV_HEADER)
        return -1;
    uint32_t length = get_u32(rest->bytes + 1);
    if (length > rest->length - TLV_HEADER)
        return -1;
    field->tag = rest->bytes[0];
    field->value = (struct slice){rest->bytes + TLV_HEADER, length};
    rest->bytes += TLV_HEADER + length;
    rest->length -= TLV_HEADER + length;
    return 1;
}

void tlv_bytes(struct tlv_writer *writer, uint8_t tag, const void *bytes, size_t length)
{
    if (writer->capacity - writer->length < TLV_HEADER + length)
        return;
    uint8_t *to = writer->bytes + writer->length;
    to[0] = tag;
    put_u32(to + 1, (uint32_t)length);
    memcpy(to + TLV_HEADER, bytes, length);
    writer->length += TLV_HEADER + length;
}

void tlv_u32(struct tlv_writer *writer, uint8_t tag, uint32_t value)
{
    uint8_t bytes[4];
    put_u32(bytes, value);
    tlv_bytes(writer, tag, bytes, sizeof bytes);
}

void tlv_u64(struct tlv_writer *writer, uint8_t tag, uint64_t value)
{
    uint8_t bytes[8];
    put_u64(bytes, value);
    tlv_bytes(writer, tag, bytes, sizeof bytes);
}
