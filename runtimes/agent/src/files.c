#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64 };

void stay_undumpable(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool assume_identity(uid_t uid, gid_t gid)
{
    setfsgid(gid);
    setfsuid(uid);
    /* Both answer with the id in force before the call: an impossible id only asks for it. */
    if ((gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid)
        return true;
    resume_identity();
    errno = EPERM;
    return false;
}

void resume_identity(void)
{
    int error = errno;
    setfsuid(geteuid());
    setfsgid(getegid());
    stay_undumpable();
    errno = error;
}

/* Takes the next component off `rest`, past repeated slashes: 1, 0 at the end, -1 (errno). */
static int next_component(struct slice *rest, char *name)
{
    while (rest->length > 0 && rest->bytes[0] == '/') {
        rest->bytes++;
        rest->length--;
    }
    if (rest->length == 0)
        return 0;
    const uint8_t *slash = memchr(rest->bytes, '/', rest->length);
    uint32_t length = slash ? (uint32_t)(slash - rest->bytes) : rest->length;
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, rest->bytes, length);
    name[length] = '\0';
    rest->bytes += length;
    rest->length -= length;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        errno = EINVAL;
        return -1;
    }
    return 1;
}

static int step_into(int directory, const char *name, bool create)
{
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int next = openat(directory, name, flags);
    if (next >= 0 || errno != ENOENT || !create)
        return next;
    if (mkdirat(directory, name, 0755) < 0 && errno != EEXIST)
        return -1;
    return openat(directory, name, flags);
}

/* Enters place->name, so that a next name can take its seat. */
static bool advance(struct place *place, bool create)
{
    int next = step_into(place->directory, place->name, create);
    if (next < 0)
        return false;
    close(place->directory);
    place->directory = next;
    return true;
}

static bool walk(struct place *place, struct slice rest, bool create, unsigned *depth)
{
    char name[NAME_MAX + 1];
    int more;
    while ((more = next_component(&rest, name)) > 0) {
        if (++*depth > DEPTH_MAX) {
            errno = ENAMETOOLONG;
            return false;
        }
        if (place->name[0] != '\0' && !advance(place, create))
            return false;
        memcpy(place->name, name, sizeof name);
    }
    return more == 0;
}

bool find_place(struct slice root, struct slice path, bool create, struct place *place)
{
    bool absolute = root.length > 0 && root.bytes[0] == '/';
    bool relative = path.length == 0 || path.bytes[0] != '/';
    if (!absolute || !relative) {
        errno = EINVAL;
        return false;
    }
    *place = (struct place){.directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (place->directory < 0)
        return false;
    unsigned depth = 0;
    bool walked = walk(place, root, create, &depth) && walk(place, path, create, &depth);
    if (walked && place->name[0] != '\0')
        return true;
    int error = walked ? EINVAL : errno;
    leave_place(place);
    errno = error;
    return false;
}

void leave_place(struct place *place)
{
    int error = errno;
    if (place->directory >= 0)
        close(place->directory);
    place->directory = -1;
    errno = error;
}
