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

enum { MOUNTS_MAX = 16, REPORT_MAX = 1024, TIME_WAIT = 6 };

/* What is in a mount: bytes, inodes (the root's included) and directory entries. */
static void report_mount(struct tlv_writer *writer, const char *path)
{
    struct statvfs found = {0};
    uint8_t bytes[24];
    statvfs(path, &found);
    put_u64(bytes, (found.f_blocks - found.f_bfree) * found.f_frsize);
    put_u64(bytes + 8, found.f_files - found.f_ffree);
    put_u64(bytes + 16, count_entries(path));
    tlv_bytes(writer, TAG_MOUNT, bytes, sizeof bytes);
}

/* Lines of one list, less its heading. A closed connection's last wait is no socket any more. */
static unsigned count_sockets(const char *list, bool tcp)
{
    FILE *lines = fopen(list, "re");
    if (!lines)
        return 0;
    char line[512];
    unsigned count = 0, state;
    bool heading = true;
    while (fgets(line, sizeof line, lines)) {
        bool waits = tcp && sscanf(line, "%*s %*s %*s %x", &state) == 1 && state == TIME_WAIT;
        count += !heading && !waits;
        heading = false;
    }
    fclose(lines);
    return count;
}

static unsigned sockets_left(const struct agent *agent)
{
    static const char *const lists[] = {"udp", "udp6", "raw", "raw6", "unix", "packet", "sctp/eps"};
    unsigned count = count_sockets("/proc/net/tcp", true) + count_sockets("/proc/net/tcp6", true);
    for (unsigned at = 0; at < sizeof lists / sizeof *lists; at++) {
        char path[32];
        snprintf(path, sizeof path, "/proc/net/%s", lists[at]);
        count += count_sockets(path, false);
    }
    unsigned own = listeners_count(agent);
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
