/* The decoder recovers from cuts, garbage and forgeries at every place; the outbox frames alike. */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crc32.h"
#include "frame.h"
#include "tlv.h"

static struct outbox outbox;

static struct decoder *fresh(void)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    assert(decoder);
    return decoder;
}

static void queue(uint32_t channel, const char *text)
{
    struct frame frame = {FRAME_DATA, 1, channel, 7, {(const uint8_t *)text, (uint32_t)strlen(text)}};
    outbox_put(&outbox, &frame);
}

static void expect(struct decoder *decoder, uint32_t channel, const char *text)
{
    struct frame frame;
    assert(decoder_next(decoder, &frame));
    assert(frame.type == FRAME_DATA && frame.flags == 1 && frame.epoch == 7);
    assert(frame.channel == channel && frame.payload.length == strlen(text));
    assert(memcmp(frame.payload.bytes, text, strlen(text)) == 0);
}

static void empty_outbox(void)
{
    outbox.start = outbox.end = 0;
}

static void test_checksum_is_zlibs(void)
{
    assert(crc32(0, "123456789", 9) == 0xCBF43926u);
    assert(crc32(crc32(0, "1234", 4), "56789", 5) == 0xCBF43926u);
    assert(crc32(0, "", 0) == 0);
}

static void test_frames_survive_any_cut(void)
{
    empty_outbox();
    queue(3, "hello");
    queue(4, "");
    for (size_t cut = 0; cut <= outbox.end; cut++) {
        struct decoder *decoder = fresh();
        struct frame frame;
        decoder_push(decoder, outbox.buffer, cut);
        while (decoder_next(decoder, &frame))
            assert(frame.channel == 3 || frame.channel == 4);
        decoder_push(decoder, outbox.buffer + cut, outbox.end - cut);
        while (decoder_next(decoder, &frame))
            assert(frame.channel == 3 || frame.channel == 4);
        assert(decoder->start == decoder->end && decoder->skipped == 0);
        free(decoder);
    }
}

/* Whatever a dead emulator left half sent: zeros complete it, and the next frame is found. */
static void test_padding_completes_any_half_frame(void)
{
    for (size_t cut = 1; cut < 25; cut++) {
        struct decoder *decoder = fresh();
        struct frame frame;
        empty_outbox();
        queue(3, "hello");
        decoder_push(decoder, outbox.buffer, cut);
        empty_outbox();
        outbox_pad(&outbox);
        queue(5, "again");
        decoder_push(decoder, outbox.buffer, outbox.end);
        expect(decoder, 5, "again");
        assert(!decoder_next(decoder, &frame));
        free(decoder);
    }
}

static void test_a_flipped_bit_loses_one_frame(void)
{
    for (size_t at = 0; at < 25; at++) {
        struct decoder *decoder = fresh();
        struct frame frame;
        empty_outbox();
        queue(3, "hello");
        outbox.buffer[at] ^= 0x10;
        queue(4, "after");
        outbox_pad(&outbox);
        decoder_push(decoder, outbox.buffer, outbox.end);
        expect(decoder, 4, "after");
        assert(!decoder_next(decoder, &frame) && decoder->skipped >= 25);
        free(decoder);
    }
}

static void test_a_forged_length_is_passed_over(void)
{
    static const uint8_t forged[] = "UB\4\1aaaabbbb\xff\xff\xff\xffUBUBUB";
    struct decoder *decoder = fresh();
    empty_outbox();
    queue(9, "real");
    decoder_push(decoder, forged, sizeof forged - 1);
    decoder_push(decoder, outbox.buffer, outbox.end);
    expect(decoder, 9, "real");
    free(decoder);
}

static void test_the_outbox_keeps_order_through_short_writes(void)
{
    int ends[2];
    assert(pipe2(ends, O_NONBLOCK) == 0);
    struct decoder *decoder = fresh();
    uint32_t sent = 0, seen = 0;
    struct frame frame;
    empty_outbox();
    while (seen < 2000) {
        while (sent < 2000 && outbox_room(&outbox) > OUTBOX_RESERVE) {
            memset(outbox_payload(&outbox), 'x', 5000);
            frame = (struct frame){FRAME_DATA, 1, ++sent, 7, {0}};
            outbox_commit(&outbox, &frame, 5000);
        }
        assert(outbox_flush(&outbox, ends[1]));
        assert(decoder_fill(decoder, ends[0]) > 0);
        while (decoder_next(decoder, &frame)) {
            assert(frame.channel == ++seen && frame.payload.length == 5000);
        }
    }
    close(ends[0]);
    queue(1, "nobody reads");
    assert(!outbox_flush(&outbox, ends[1]));
    close(ends[1]);
    free(decoder);
}

static void test_fields_that_are_cut_short_are_refused(void)
{
    uint8_t bytes[32];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_UID, 2000);
    tlv_u64(&writer, TAG_SIZE, UINT64_MAX);
    assert(writer.length == 9 + 13);
    for (uint32_t length = 0; length <= writer.length; length++) {
        struct slice rest = {bytes, length};
        struct tlv field;
        int found;
        while ((found = tlv_next(&rest, &field)) > 0)
            assert(field.tag == TAG_UID || field.tag == TAG_SIZE);
        assert(found == (length == 0 || length == 9 || length == 22 ? 0 : -1));
    }
    tlv_bytes(&writer, TAG_TEXT, bytes, 30);
    assert(writer.length == 22);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    crc32_init();
    test_checksum_is_zlibs();
    test_frames_survive_any_cut();
    test_padding_completes_any_half_frame();
    test_a_flipped_bit_loses_one_frame();
    test_a_forged_length_is_passed_over();
    test_the_outbox_keeps_order_through_short_writes();
    test_fields_that_are_cut_short_are_refused();
    puts("frames: ok");
    return 0;
}
