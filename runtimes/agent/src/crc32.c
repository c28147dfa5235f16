#include "crc32.h"

#include <endian.h>
#include <string.h>

/* Slice-by-8: table[k][b] is the checksum of byte b followed by k zero bytes. */
static uint32_t table[8][256];

void crc32_init(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = table[slice - 1][byte];
            table[slice][byte] = before >> 8 ^ table[0][before & 0xFF];
        }
}

static uint32_t crc32_eight(uint32_t crc, const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    word = le64toh(word) ^ crc;
    return table[7][word & 0xFF] ^ table[6][word >> 8 & 0xFF] ^ table[5][word >> 16 & 0xFF] ^
           table[4][word >> 24 & 0xFF] ^ table[3][word >> 32 & 0xFF] ^
           table[2][word >> 40 & 0xFF] ^ table[1][word >> 48 & 0xFF] ^ table[0][word >> 56];
}

uint32_t crc32(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    for (; length >= 8; length -= 8, bytes += 8)
        crc = crc32_eight(crc, bytes);
    for (; length > 0; length--, bytes++)
        crc = crc >> 8 ^ table[0][(crc ^ *bytes) & 0xFF];
    return ~crc;
}
