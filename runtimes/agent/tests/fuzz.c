/* Mutated frame streams against the decoder and everything behind it.
 *
 *     fuzz SEED RUNS DIRECTORY
 *
 * Streams are made of well-formed frames with random fields, then bits are flipped and bytes cut
 * and doubled; checksums are mostly made good again, so that what is behind them is reached too. It
 * runs with DIRECTORY as its root, as nobody, without real fork() and kill(): what it
 * asks of the agent comes to nothing. The sanitizers are the judges, and a few invariants:
 * credit within the window, and no memory or descriptor left over from a stream.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "crc32.h"
#include "kill.h"
#include "tlv.h"

enum { NOBODY = 65534, STREAM_MAX = 200000, FRAMES_MAX = 24, ROUNDS = 4 };

static struct agent agent;
static uint64_t state;
static uint8_t stream[STREAM_MAX];
static size_t stream_length;

/* --- nothing real ------------------------------------------------------------------------ */

enum { FIRST_PID = 1 << 24 };

static pid_t next_pid = FIRST_PID, ended_pid = FIRST_PID;

pid_t __wrap_fork(void);
pid_t __wrap_wait4(pid_t pid, int *status, int options, struct rusage *usage);
int __wrap_kill(pid_t pid, int signo);
static uint32_t below(uint32_t limit);

/* A child that never was: its ends of the pipes close at once, as if exec had succeeded. */
pid_t __wrap_fork(void)
{
    errno = EAGAIN;
    return below(8) ? next_pid++ : -1;
}

/* Children end in the order of their coming, sooner or later, one way or another. */
pid_t __wrap_wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
    assert(pid == -1 && options == WNOHANG);
    if (ended_pid == next_pid) {
        errno = ECHILD;
        return -1;
    }
    *usage = (struct rusage){.ru_maxrss = below(1000)};
    *status = (int)(below(2) ? below(32) : below(256) << 8);
    return below(3) ? ended_pid++ : 0;
}

int __wrap_kill(pid_t pid, int signo)
{
    (void)signo;
    assert(pid != -1 && (pid >= FIRST_PID || pid <= -FIRST_PID));
    return 0;
}

static void lock_up(const char *directory)
{
    const struct rlimit files = {4096, 4096}, size = {1 << 20, 1 << 20};
    assert(chdir(directory) == 0);
    if (geteuid() == 0) {
        assert(chown(".", NOBODY, NOBODY) == 0 && chroot(".") == 0 && setgroups(0, NULL) == 0);
        assert(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
    }
    assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_FSIZE, &size);
}

/* --- random streams ---------------------------------------------------------------------- */

static uint32_t below(uint32_t limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % limit);
}

static uint32_t number(void)
{
    static const uint32_t edges[] = {0, 1, 2, 7, 255, 4096, 65535, 65536, 65537, 0x7fffffff,
                                     0x80000000, 0xffffffff, 2000, 262144};
    return below(2) ? edges[below(sizeof edges / sizeof *edges)] : below(16);
}

static void random_field(struct tlv_writer *writer)
{
    static const char *const texts[] = {"",    "/",        "/tmp",       "a/b/c", "../x", "x=1",
                                        "sh",  "/bin/sh",  "127.0.0.1",  "::1",   "key",  "\1",
                                        "a//b", "./././.", "PATH=/bin::"};
    uint8_t tag = (uint8_t)below(TAGS + 2);
    const char *text = texts[below(sizeof texts / sizeof *texts)];
    switch (below(4)) {
    case 0:
        tlv_u32(writer, tag, number());
        break;
    case 1:
        tlv_u64(writer, tag, (uint64_t)number() << below(33));
        break;
    case 2:
        tlv_bytes(writer, tag, stream, below(64));
        break;
    default:
        tlv_bytes(writer, tag, text, strlen(text));
    }
}

/* A request that is nearly right, so that more than the parser is met. */
static void likely_fields(struct tlv_writer *writer, uint32_t kind)
{
    static const uint8_t size[4] = {80, 0, 24, 0};
    tlv_u32(writer, TAG_KIND, kind);
    tlv_u32(writer, TAG_UID, below(8) ? NOBODY : number());
    tlv_u32(writer, TAG_GID, NOBODY);
    if (kind == OPEN_EXEC) {
        tlv_bytes(writer, TAG_ARG, "sh", 2);
        tlv_bytes(writer, TAG_CWD, "/", 1);
        tlv_u32(writer, TAG_STDIN, below(2));
        tlv_u32(writer, TAG_ALONE, below(8) == 0);
        if (below(4) == 0)
            tlv_bytes(writer, TAG_PTY, size, sizeof size);
        if (below(4) == 0)
            tlv_bytes(writer, TAG_KEY, "kept", 1 + below(4));
    } else if (kind == OPEN_CONNECT || kind == OPEN_LISTEN || kind == OPEN_DATAGRAMS) {
        tlv_u32(writer, TAG_PORT, below(3) ? 0 : number());
    } else {
        tlv_bytes(writer, TAG_ROOT, "/t", below(4) ? 2 : 1);
        tlv_bytes(writer, TAG_PATH, "abcd", below(5));
        tlv_u64(writer, TAG_SIZE, below(300));
        tlv_u32(writer, TAG_MODE, 0644);
        tlv_bytes(writer, TAG_TARGET, "x", 1);
        tlv_u32(writer, TAG_MAX_FILES, number());
        tlv_u64(writer, TAG_MAX_BYTES, number());
    }
}

static uint32_t random_payload(uint8_t type, uint8_t *payload)
{
    struct tlv_writer writer = {.bytes = payload, .capacity = PAYLOAD_MAX};
    if (type == FRAME_HELLO) {
        tlv_u32(&writer, TAG_VERSION, below(16) ? PROTOCOL_VERSION : number());
        tlv_u32(&writer, TAG_WINDOW, below(4) ? WINDOW_MIN : number());
    } else if (type == FRAME_OPEN && below(3)) {
        likely_fields(&writer, 1 + below(OPEN_KINDS));
    } else if (type == FRAME_CREDIT || type == FRAME_RESIZE) {
        put_u32(payload, number());
        writer.length = below(8) ? 4 : below(6);
    } else if (type == FRAME_SIGNAL) {
        put_u16(payload, (uint16_t)(below(70) | below(4) << 8));
        writer.length = 2;
    } else if (type == FRAME_ADOPT) {
        tlv_bytes(&writer, TAG_KEY, "kept", 1 + below(4));
    } else if (type == FRAME_DATA || type == FRAME_PING) {
        writer.length = below(40) ? below(400) : below(PAYLOAD_MAX + 1);
        memset(payload, 'U', writer.length);
        payload[0] = (uint8_t)(below(4) ? 0 : 'U');
    }
    for (uint32_t more = below(3); type == FRAME_OPEN && more > 0; more--)
        random_field(&writer);
    return (uint32_t)writer.length;
}

static void append_frame(uint32_t epoch, uint32_t *next)
{
    static const uint8_t common[] = {FRAME_OPEN, FRAME_OPEN, FRAME_OPEN, FRAME_DATA, FRAME_DATA,
                                     FRAME_EOF,  FRAME_CREDIT};
    if (STREAM_MAX - stream_length < FRAME_MAX)
        return;
    uint8_t *header = stream + stream_length;
    uint8_t type = below(2) ? common[below(sizeof common)] : (uint8_t)below(20);
    bool fresh = type == FRAME_OPEN || type == FRAME_ADOPT || type == FRAME_CLEAN;
    uint32_t length = random_payload(type, header + HEADER_SIZE);
    header[0] = 'U';
    header[1] = 'B';
    header[2] = type;
    header[3] = (uint8_t)(below(12) ? 0 : below(4));
    put_u32(header + 4, fresh && below(16) ? (*next)++ : below(*next + 2));
    put_u32(header + 8, below(40) ? epoch : number());
    put_u32(header + 12, length);
    if (below(20) == 0)
        header[HEADER_SIZE + below(length + 1)] ^= (uint8_t)(1 << below(8));
    put_u32(header + 16, crc32(crc32(0, header, 16), header + HEADER_SIZE, length));
    stream_length += HEADER_SIZE + length;
}

static void damage(void)
{
    for (uint32_t times = below(4); times > 0 && stream_length > 0; times--) {
        size_t at = below((uint32_t)stream_length);
        switch (below(3)) {
        case 0:
            stream[at] ^= (uint8_t)(1 << below(8));
            break;
        case 1:
            memmove(stream + at, stream + at + 1, stream_length - at - 1);
            stream_length--;
            break;
        default:
            stream_length -= below((uint32_t)(stream_length - at) + 1);
        }
    }
}

static void make_stream(void)
{
    uint32_t epoch = 1 + below(3), next = 1;
    stream_length = 0;
    uint8_t *header = stream;
    uint32_t length = random_payload(FRAME_HELLO, header + HEADER_SIZE);
    memcpy(header, "UB\1\0\0\0\0\0", 8);
    put_u32(header + 8, epoch);
    put_u32(header + 12, length);
    put_u32(header + 16, crc32(crc32(0, header, 16), header + HEADER_SIZE, length));
    stream_length = HEADER_SIZE + length;
    for (uint32_t count = 1 + below(FRAMES_MAX); count > 0; count--)
        append_frame(epoch, &next);
    if (below(3) == 0)
        damage();
}

/* --- the agent's rounds, with its main loop's rules -------------------------------------- */

static void check(void)
{
    assert(agent.channel_count <= CHANNELS_MAX);
    for (unsigned at = 0; at < agent.channel_count; at++) {
        const struct channel *channel = agent.channels[at];
        assert(channel->detached || channel->send_credit <= agent.window);
        assert(channel->detached || channel->recv_credit + channel->owed <= agent.window);
    }
}

static void serve_once(void)
{
    for (unsigned at = 0; at < agent.channel_count; at++) {
        struct channel *channel = agent.channels[at];
        struct pollfd fds[CHANNEL_FDS];
        unsigned count =
            channel->ops->interest ? channel->ops->interest(&agent, channel, fds) : 0;
        assert(count <= CHANNEL_FDS);
        poll(fds, count, 0);
        for (unsigned fd = 0; fd < count; fd++)
            if (fds[fd].revents && !channel->finished)
                channel->ops->ready(&agent, channel, fds[fd]);
        if (channel->ops->work && !channel->finished)
            channel->ops->work(&agent, channel);
    }
    channels_sweep(&agent);
    reap(&agent);
    agent.outbox.start = agent.outbox.end = 0;
}

static void handle_frames(void)
{
    struct frame frame;
    while (decoder_next(&agent.decoder, &frame)) {
        agent_dispatch(&agent, &frame);
        check();
        if (outbox_room(&agent.outbox) < OUTBOX_RESERVE)
            serve_once();
    }
}

static void run_stream(void)
{
    for (size_t sent = 0; sent < stream_length;) {
        uint32_t piece = below(4) ? (uint32_t)(stream_length - sent) : below(100) + 1;
        if (piece > stream_length - sent)
            piece = (uint32_t)(stream_length - sent);
        sent += decoder_push(&agent.decoder, stream + sent, piece);
        handle_frames();
    }
    for (int round = 0; round < ROUNDS; round++)
        serve_once();
}

static void end_everything(void)
{
    agent_new_epoch(&agent, 0, WINDOW_MIN);
    for (unsigned at = 0; at < agent.channel_count; at++)
        agent.channels[at]->finished = true;
    channels_sweep(&agent);
}

/* What WRITE, MKDIR and SYMLINK may have made, so that they can again. */
static void forget_files(void)
{
    static const char *const paths[] = {"/t/a", "/t/ab", "/t/abc", "/t/abcd", "/t",
                                        "/a",   "/ab",   "/abc",   "/abcd"};
    for (unsigned at = 0; at < sizeof paths / sizeof *paths; at++)
        remove(paths[at]);
}

static int lowest_free_descriptor(void)
{
    int fd = dup(STDOUT_FILENO);
    close(fd);
    return fd;
}

/* LeakSanitizer needs a /proc, which is out of reach here; what is allocated is compared instead. */
size_t __sanitizer_get_current_allocated_bytes(void);
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    assert(argc == 4);
    uint64_t seed = strtoull(argv[1], NULL, 10);
    long runs = strtol(argv[2], NULL, 10);
    signal(SIGPIPE, SIG_IGN);
    lock_up(argv[3]);
    size_t allocated = __sanitizer_get_current_allocated_bytes();
    int descriptor = lowest_free_descriptor();
    crc32_init();
    agent.signal_fd = -1;
    agent.next_own = OWN_CHANNELS;
    for (long run = 0; run < runs; run++) {
        state = seed * 1000003u + (uint64_t)run;
        make_stream();
        run_stream();
        if (below(4) > 0)
            continue;
        end_everything();
        assert(__sanitizer_get_current_allocated_bytes() == allocated);
        assert(lowest_free_descriptor() == descriptor);
        forget_files();
    }
    printf("fuzz: %ld streams from seed %llu\n", runs, (unsigned long long)seed);
    return 0;
}
