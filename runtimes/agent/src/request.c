#include "request.h"

#include <stddef.h>
#include <stdlib.h>

#include "tlv.h"

enum field_form { FORM_NONE, FORM_U32, FORM_U64, FORM_TEXT, FORM_STRING, FORM_PTY, FORM_RLIMIT };

/* How each field is read and, for plain ones, where it goes. STRING fields may come many times. */
static const struct {
    enum field_form form;
    size_t offset;
} fields[TAGS] = {
    [TAG_VERSION] = {FORM_U32, offsetof(struct request, version)},
    [TAG_WINDOW] = {FORM_U32, offsetof(struct request, window)},
    [TAG_KEY] = {FORM_TEXT, offsetof(struct request, key)},
    [TAG_KIND] = {FORM_U32, offsetof(struct request, kind)},
    [TAG_ARG] = {FORM_STRING, 0},
    [TAG_ENV] = {FORM_STRING, 0},
    [TAG_MOUNT] = {FORM_STRING, 0},
    [TAG_CWD] = {FORM_TEXT, offsetof(struct request, cwd)},
    [TAG_UID] = {FORM_U32, offsetof(struct request, uid)},
    [TAG_GID] = {FORM_U32, offsetof(struct request, gid)},
    [TAG_STDIN] = {FORM_U32, offsetof(struct request, input)},
    [TAG_PTY] = {FORM_PTY, 0},
    [TAG_RLIMIT] = {FORM_RLIMIT, 0},
    [TAG_OUTPUT_LIMIT] = {FORM_U64, offsetof(struct request, output_limit)},
    [TAG_ALONE] = {FORM_U32, offsetof(struct request, alone)},
    [TAG_UMASK] = {FORM_U32, offsetof(struct request, umask)},
    [TAG_ROOT] = {FORM_TEXT, offsetof(struct request, root)},
    [TAG_PATH] = {FORM_TEXT, offsetof(struct request, path)},
    [TAG_MODE] = {FORM_U32, offsetof(struct request, mode)},
    [TAG_SIZE] = {FORM_U64, offsetof(struct request, size)},
    [TAG_TARGET] = {FORM_TEXT, offsetof(struct request, target)},
    [TAG_MAX_FILES] = {FORM_U32, offsetof(struct request, max_files)},
    [TAG_MAX_BYTES] = {FORM_U64, offsetof(struct request, max_bytes)},
    [TAG_MAX_DEPTH] = {FORM_U32, offsetof(struct request, max_depth)},
    [TAG_ADDRESS] = {FORM_TEXT, offsetof(struct request, address)},
    [TAG_PORT] = {FORM_U32, offsetof(struct request, port)},
};

static bool has_nul(struct slice text)
{
    return text.length > 0 && memchr(text.bytes, 0, text.length) != NULL;
}

static uint64_t limit_value(uint64_t value)
{
    return value == UINT64_MAX ? RLIM_INFINITY : value;
}

static const char *take_rlimit(struct request *request, struct slice value)
{
    if (value.length != 20)
        return "a resource limit is not 20 bytes";
    if (request->rlimit_count == RLIMITS_MAX)
        return "too many resource limits";
    unsigned at = request->rlimit_count++;
    request->rlimits[at].resource = get_u32(value.bytes);
    request->rlimits[at].limit.rlim_cur = limit_value(get_u64(value.bytes + 4));
    request->rlimits[at].limit.rlim_max = limit_value(get_u64(value.bytes + 12));
    return NULL;
}

static const char *take_pty(struct request *request, struct slice value)
{
    if (value.length != 4)
        return "a terminal size is not 4 bytes";
    request->columns = get_u16(value.bytes);
    request->rows = get_u16(value.bytes + 2);
    return NULL;
}

static const char *take_number(void *to, struct slice value, enum field_form form)
{
    if (value.length != (form == FORM_U32 ? 4 : 8))
        return "a number has the wrong size";
    if (form == FORM_U32)
        *(uint32_t *)to = get_u32(value.bytes);
    else
        *(uint64_t *)to = get_u64(value.bytes);
    return NULL;
}

static const char *take_field(struct request *request, const struct tlv *field)
{
    enum field_form form = field->tag < TAGS ? fields[field->tag].form : FORM_NONE;
    if (form == FORM_NONE)
        return "unknown field";
    bool seen = request_has(request, field->tag);
    if (seen && form != FORM_STRING && form != FORM_RLIMIT)
        return "a field came twice";
    request->present |= UINT64_C(1) << field->tag;
    void *to = (uint8_t *)request + fields[field->tag].offset;
    switch (form) {
    case FORM_U32:
    case FORM_U64:
        return take_number(to, field->value, form);
    case FORM_PTY:
        return take_pty(request, field->value);
    case FORM_RLIMIT:
        return take_rlimit(request, field->value);
    case FORM_TEXT:
        *(struct slice *)to = field->value;
        return has_nul(field->value) ? "a text holds a NUL byte" : NULL;
    default:
        return has_nul(field->value) ? "a string holds a NUL byte" : NULL;
    }
}

const char *request_parse(struct request *request, struct slice payload)
{
    *request = (struct request){.payload = payload};
    struct slice rest = payload;
    struct tlv field;
    int more;
    while ((more = tlv_next(&rest, &field)) > 0) {
        const char *wrong = take_field(request, &field);
        if (wrong)
            return wrong;
    }
    return more < 0 ? "a field is cut short" : NULL;
}

bool request_has(const struct request *request, enum tag tag)
{
    return request->present >> tag & 1;
}

/* Counts the strings of a tag and the bytes they need with their NULs. */
static size_t strings_measure(const struct request *request, enum tag tag, size_t *bytes)
{
    struct slice rest = request->payload;
    struct tlv field;
    size_t count = 0;
    for (*bytes = 0; tlv_next(&rest, &field) > 0;) {
        if (field.tag != tag)
            continue;
        count++;
        *bytes += field.value.length + 1;
    }
    return count;
}

char **request_strings(const struct request *request, enum tag tag)
{
    size_t bytes, count = strings_measure(request, tag, &bytes);
    char **strings = malloc((count + 1) * sizeof *strings + bytes);
    if (!strings)
        return NULL;
    char *to = (char *)(strings + count + 1);
    struct slice rest = request->payload;
    struct tlv field;
    size_t at = 0;
    while (tlv_next(&rest, &field) > 0) {
        if (field.tag != tag)
            continue;
        strings[at++] = memcpy(to, field.value.bytes, field.value.length);
        to[field.value.length] = '\0';
        to += field.value.length + 1;
    }
    strings[at] = NULL;
    return strings;
}

bool slice_text(struct slice text, char *to, size_t capacity)
{
    if (text.length >= capacity)
        return false;
    if (text.length > 0)
        memcpy(to, text.bytes, text.length);
    to[text.length] = '\0';
    return true;
}
