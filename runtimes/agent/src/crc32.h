#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Fills the tables; call once before crc32(). */
void crc32_init(void);

/* The checksum zlib computes, continued from `crc` (0 to start). */
uint32_t crc32(uint32_t crc, const void *data, size_t length);

#endif
