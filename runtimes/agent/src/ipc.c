#include "ipc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/types.h>
#include <unistd.h>

#include "files.h"
#include "wipe.h"

static const char queues[] = "/dev/mqueue";

static int remove_memory(int id)
{
    return shmctl(id, IPC_RMID, NULL);
}

static int remove_semaphores(int id)
{
    return semctl(id, 0, IPC_RMID);
}

static int remove_messages(int id)
{
    return msgctl(id, IPC_RMID, NULL);
}

/* Each list has a heading, then a line an object; `format` takes its id and its owner. */
static const struct {
    const char *list, *format;
    int (*remove)(int id);
} kinds[] = {
    {"/proc/sysvipc/shm", "%*d %d %*o %*u %*d %*d %*u %u", remove_memory},
    {"/proc/sysvipc/sem", "%*d %d %*o %*u %u", remove_semaphores},
    {"/proc/sysvipc/msg", "%*d %d %*o %*u %*u %*d %*d %u", remove_messages},
};

enum { KINDS = sizeof kinds / sizeof *kinds, LINE_MAX_BYTES = 512 };

/* Only owner and creator may remove an object, so the agent is its owner for the moment. */
static void remove_as(uid_t owner, int (*remove)(int), int id)
{
    uid_t self = geteuid();
    if (setresuid((uid_t)-1, owner, (uid_t)-1) < 0)
        return;
    remove(id);
    if (setresuid((uid_t)-1, self, (uid_t)-1) < 0)
        _exit(1);
    stay_undumpable();
}

/* Goes over one list and removes what it names, or only counts it; one that cannot be read may
 * hold something. */
static unsigned go_over(unsigned kind, bool remove)
{
    FILE *list = fopen(kinds[kind].list, "re");
    if (!list)
        return errno != ENOENT;
    char line[LINE_MAX_BYTES];
    unsigned count = 0;
    int id;
    unsigned owner;
    while (fgets(line, sizeof line, list)) {
        if (sscanf(line, kinds[kind].format, &id, &owner) != 2)
            continue;
        count++;
        if (remove)
            remove_as(owner, kinds[kind].remove, id);
    }
    fclose(list);
    return count;
}

void ipc_remove(void)
{
    for (unsigned kind = 0; kind < KINDS; kind++)
        go_over(kind, true);
    wipe(queues);
}

unsigned ipc_count(void)
{
    unsigned count = count_entries(queues);
    for (unsigned kind = 0; kind < KINDS; kind++)
        count += go_over(kind, false);
    return count;
}
