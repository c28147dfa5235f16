#ifndef ELAPSED_H
#define ELAPSED_H

#include <stdint.h>
#include <time.h>

/* Microseconds since `start`, of the monotonic clock. */
static inline uint64_t elapsed_us(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - start->tv_sec) * 1000000 +
                      (now.tv_nsec - start->tv_nsec) / 1000);
}

#endif
