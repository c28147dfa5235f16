/* What an OPEN, HELLO, ADOPT or CLEAN asks, parsed from its fields by one table. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "bytes.h"
#include "protocol.h"

enum { RLIMITS_MAX = 16 };

struct request {
    struct slice payload;
    uint64_t present; /* bit `tag` is set when the field was there */
    uint32_t version, window, kind, uid, gid, input, umask, mode, alone;
    uint32_t max_files, max_depth, port;
    uint64_t output_limit, size, max_bytes;
    uint16_t columns, rows;
    struct slice key, cwd, root, path, target, address;
    struct {
        uint32_t resource;
        struct rlimit limit;
    } rlimits[RLIMITS_MAX];
    unsigned rlimit_count;
};

/* Parses `payload`, which the request then points into. NULL, or what is wrong with it. */
const char *request_parse(struct request *request, struct slice payload);

bool request_has(const struct request *request, enum tag tag);

/* A NULL-terminated array of the strings tagged `tag`, in one block for free(); NULL: no memory. */
char **request_strings(const struct request *request, enum tag tag);

/* A copy of `text` as a C string; false when it is too long for `capacity`. */
bool slice_text(struct slice text, char *to, size_t capacity);

#endif
