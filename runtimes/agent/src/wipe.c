#include "wipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elapsed.h"

/* A tree of any depth is emptied with two directories open: what is not empty yet moves up to
 * the top under a name of ours, and is met there again. */
enum { WIPE_LIMIT_US = 5000000, NAME_ROOM = 32, NAME_TRIES = 16 };

struct wipe {
    int top;
    unsigned serial;
    bool progress;
};

static bool is_self(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static DIR *open_directory(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory && fd >= 0)
        close(fd);
    return directory;
}

/* In a sticky directory only its owner may remove what others left: become the owner. */
static DIR *open_as_owner(int parent, const char *name)
{
    DIR *directory = open_directory(parent, name);
    if (directory) {
        int owned = fchown(dirfd(directory), geteuid(), (gid_t)-1);
        (void)owned;
    }
    return directory;
}

static bool remove_entry(struct wipe *wipe, int directory, const char *name)
{
    bool removed =
        unlinkat(directory, name, 0) == 0 || unlinkat(directory, name, AT_REMOVEDIR) == 0;
    wipe->progress |= removed;
    return removed;
}

static void move_up(struct wipe *wipe, int parent, const char *name)
{
    char fresh[NAME_ROOM];
    for (int tries = 0; tries < NAME_TRIES; tries++) {
        snprintf(fresh, sizeof fresh, ".wipe-%u", wipe->serial++);
        if (renameat(parent, name, wipe->top, fresh) == 0) {
            wipe->progress = true;
            return;
        }
    }
}

/* Removes what is in `name`, or moves it up, and then `name` itself. */
static void empty_directory(struct wipe *wipe, const char *name)
{
    DIR *directory = open_as_owner(wipe->top, name);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (!is_self(entry->d_name) && !remove_entry(wipe, dirfd(directory), entry->d_name))
            move_up(wipe, dirfd(directory), entry->d_name);
    closedir(directory);
    remove_entry(wipe, wipe->top, name);
}

static void wipe_round(struct wipe *wipe, DIR *top)
{
    wipe->progress = false;
    rewinddir(top);
    for (struct dirent *entry; (entry = readdir(top));)
        if (!is_self(entry->d_name) && !remove_entry(wipe, wipe->top, entry->d_name))
            empty_directory(wipe, entry->d_name);
}

void wipe(const char *path)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    DIR *top = open_directory(AT_FDCWD, path);
    if (!top)
        return;
    struct wipe wipe = {.top = dirfd(top)};
    do
        wipe_round(&wipe, top);
    while (wipe.progress && elapsed_us(&start) < WIPE_LIMIT_US);
    closedir(top);
}

unsigned count_entries(const char *path)
{
    DIR *directory = open_directory(AT_FDCWD, path);
    if (!directory)
        return errno != ENOENT;
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        count += !is_self(entry->d_name);
    closedir(directory);
    return count;
}
