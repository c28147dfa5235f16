#include "clean.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "elapsed.h"
#include "ipc.h"
#include "kill.h"
#include "relay.h"
#include "tlv.h"
#include "wipe.h"

enum { MOUNTS_MAX = 16, REPORT_MAX = 1024, LINE_BYTES = 512 };

/* Sockets on a list that cannot be read: more than there may be of the agent's own. */
enum { UNKNOWN = 1 << 16 };

/* What is in a mount: bytes, inodes (the root's included) and directory entries. */
static void report_mount(struct tlv_writer *writer, const char *path)
{
    struct statvfs found = {0};
    uint8_t bytes[24];
    if (statvfs(path, &found) < 0)
        found = (struct statvfs){.f_blocks = 1, .f_frsize = 1};
    put_u64(bytes, (found.f_blocks - found.f_bfree) * found.f_frsize);
    put_u64(bytes + 8, found.f_files - found.f_ffree);
    put_u64(bytes + 16, count_entries(path));
    tlv_bytes(writer, TAG_MOUNT, bytes, sizeof bytes);
}

/* Sockets of a protocol that are in use or wait for late packets; 0 for other lines. */
static unsigned counted_in(const char *line)
{
    unsigned count, waiting;
    if (strncmp(line, "FRAG", 4) == 0 || sscanf(line, "%*s inuse %u", &count) != 1)
        return 0;
    return sscanf(line, "%*s inuse %*u orphan %*u tw %u", &waiting) == 1 ? count + waiting : count;
}

/* The kernel's counters of this network namespace, one a protocol. Its lists of TCP sockets would
 * take milliseconds on machines with much memory. */
static unsigned counted_sockets(const char *summary)
{
    FILE *lines = fopen(summary, "re");
    if (!lines)
        return errno == ENOENT ? 0 : UNKNOWN;
    char line[LINE_BYTES];
    unsigned sum = 0;
    while (fgets(line, sizeof line, lines))
        sum += counted_in(line);
    fclose(lines);
    return sum;
}

/* Lines of a list, less its heading. */
static unsigned listed_sockets(const char *list)
{
    FILE *lines = fopen(list, "re");
    if (!lines)
        return errno == ENOENT ? 0 : UNKNOWN;
    char line[LINE_BYTES];
    unsigned count = 0;
    while (fgets(line, sizeof line, lines))
        count++;
    fclose(lines);
    return count > 0 ? count - 1 : 0;
}

/* Flow labels linger after the sockets that they were made with. */
static unsigned sockets_left(const struct agent *agent)
{
    unsigned own = listeners_count(agent);
    unsigned count = counted_sockets("/proc/net/sockstat") + counted_sockets("/proc/net/sockstat6") +
                     listed_sockets("/proc/net/unix") + listed_sockets("/proc/net/packet") +
                     listed_sockets("/proc/net/ip6_flowlabel");
    return count > own ? count - own : 0;
}

static void send_report(struct agent *agent, uint32_t id, char **mounts, unsigned processes,
                        const struct timespec *start)
{
    uint8_t bytes[REPORT_MAX];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_PROCESSES, processes);
    tlv_u32(&writer, TAG_IPC, ipc_count());
    tlv_u32(&writer, TAG_SOCKETS, sockets_left(agent));
    for (char **mount = mounts; *mount; mount++)
        report_mount(&writer, *mount);
    tlv_u64(&writer, TAG_ELAPSED_US, elapsed_us(start));
    agent_send(agent, FRAME_REPORT, 0, id, (struct slice){bytes, (uint32_t)writer.length});
}

static unsigned count_mounts(char **mounts)
{
    unsigned count = 0;
    while (mounts[count])
        count++;
    return count;
}

static void clean_mounts(struct agent *agent, uint32_t id, char **mounts)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    unsigned processes = kill_everything(agent);
    relays_close(agent);
    for (char **mount = mounts; *mount; mount++)
        wipe(*mount);
    ipc_remove();
    send_report(agent, id, mounts, processes, &start);
}

void clean(struct agent *agent, uint32_t id, const struct request *request)
{
    /* Anywhere but in a sandbox of its own this would wipe what is not the agent's. */
    if (!agent->is_init) {
        agent_refuse(agent, id, EPERM, "only PID 1 of a sandbox cleans");
        return;
    }
    char **mounts = request_strings(request, TAG_MOUNT);
    if (!mounts)
        agent_refuse(agent, id, ENOMEM, strerror(ENOMEM));
    else if (count_mounts(mounts) > MOUNTS_MAX)
        agent_refuse(agent, id, E2BIG, "too many mounts");
    else
        clean_mounts(agent, id, mounts);
    free(mounts);
}
