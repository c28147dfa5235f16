/* Requests: every field is read as what it should be, and anything else is refused with a reason. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "request.h"
#include "tlv.h"

static uint8_t bytes[4096];
static struct tlv_writer writer;
static struct request request;

static void begin(void)
{
    writer = (struct tlv_writer){.bytes = bytes, .capacity = sizeof bytes};
}

static const char *parse(void)
{
    return request_parse(&request, (struct slice){bytes, (uint32_t)writer.length});
}

static void text(uint8_t tag, const char *value)
{
    tlv_bytes(&writer, tag, value, strlen(value));
}

static void test_strings_keep_their_order(void)
{
    begin();
    text(TAG_ARG, "echo");
    text(TAG_ENV, "A=1");
    text(TAG_ARG, "");
    text(TAG_ARG, "two words");
    assert(parse() == NULL);
    char **argv = request_strings(&request, TAG_ARG);
    char **envp = request_strings(&request, TAG_ENV);
    assert(strcmp(argv[0], "echo") == 0 && strcmp(argv[1], "") == 0);
    assert(strcmp(argv[2], "two words") == 0 && argv[3] == NULL);
    assert(strcmp(envp[0], "A=1") == 0 && envp[1] == NULL);
    free(argv);
    free(envp);
}

static void test_numbers_and_sizes(void)
{
    const uint8_t limit[20] = {7, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 128};
    const uint8_t size[4] = {80, 0, 24, 0};
    begin();
    tlv_u32(&writer, TAG_UID, 2000);
    tlv_u64(&writer, TAG_OUTPUT_LIMIT, 1 << 20);
    tlv_bytes(&writer, TAG_RLIMIT, limit, sizeof limit);
    tlv_bytes(&writer, TAG_PTY, size, sizeof size);
    assert(parse() == NULL);
    assert(request.uid == 2000 && request.output_limit == 1 << 20);
    assert(request.rlimit_count == 1 && request.rlimits[0].resource == 7);
    assert(request.rlimits[0].limit.rlim_cur == 64 && request.rlimits[0].limit.rlim_max == 128);
    assert(request.columns == 80 && request.rows == 24);
    assert(request_has(&request, TAG_UID) && !request_has(&request, TAG_GID));
}

static void test_what_is_wrong_is_refused(void)
{
    begin();
    tlv_bytes(&writer, TAG_UID, "abc", 3);
    assert(parse() != NULL);
    begin();
    tlv_u32(&writer, TAG_UID, 1);
    tlv_u32(&writer, TAG_UID, 0);
    assert(parse() != NULL);
    begin();
    tlv_bytes(&writer, TAG_ARG, "a\0b", 3);
    assert(parse() != NULL);
    begin();
    tlv_bytes(&writer, TAG_PATH, "a\0b", 3);
    assert(parse() != NULL);
    begin();
    tlv_u32(&writer, 200, 0);
    assert(parse() != NULL);
    begin();
    tlv_u32(&writer, TAG_CODE, 0);
    assert(parse() != NULL);
    begin();
    for (int count = 0; count <= RLIMITS_MAX; count++)
        tlv_bytes(&writer, TAG_RLIMIT, "0123456789abcdefghij", 20);
    assert(parse() != NULL);
}

static void test_texts_that_do_not_fit_are_not_cut(void)
{
    char small[4];
    assert(slice_text((struct slice){(const uint8_t *)"abc", 3}, small, sizeof small));
    assert(strcmp(small, "abc") == 0);
    assert(!slice_text((struct slice){(const uint8_t *)"abcd", 4}, small, sizeof small));
}

int main(void)
{
    test_strings_keep_their_order();
    test_numbers_and_sizes();
    test_what_is_wrong_is_refused();
    test_texts_that_do_not_fit_are_not_cut();
    puts("requests: ok");
    return 0;
}
