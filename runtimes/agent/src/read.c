/* OPEN of kind READ: the regular files of a tree, as one stream of records (docs/agent.md). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"
#include "files.h"
#include "tlv.h"

enum {
    LEVELS_MAX = 32,
    ENTRIES_A_TURN = 256,
    ENTRIES_MAX = 200000,
    RECORD_HEADER = 14,
    RECORD_WHOLE = 0,
    RECORD_CHANGED = 1,
};

/* As the kernel lays out directory entries for getdents64. */
struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

struct level {
    int fd;
    size_t path_length;
    long start, end;
    _Alignas(struct entry) char entries[4096];
};

struct tree {
    uid_t uid;
    gid_t gid;
    uint32_t max_files, max_depth;
    uint64_t max_bytes;
    uint32_t files, skipped, entries;
    uint64_t bytes;
    char path[PATH_MAX];
    size_t path_length;
    /* the record under way */
    int file;
    bool header_due, status_due, changed;
    struct stat found;
    uint64_t left;
    /* the directories it lies in, outermost first */
    unsigned depth;
    struct level levels[LEVELS_MAX];
};

/* Where a DATA frame's payload is put together. */
struct sink {
    uint8_t *bytes;
    uint32_t used, capacity;
};

static uint32_t sink_room(const struct sink *sink)
{
    return sink->capacity - sink->used;
}

/* --- finding files ----------------------------------------------------------------------- */

static void leave_level(struct tree *tree)
{
    close(tree->levels[--tree->depth].fd);
}

static void enter_level(struct tree *tree, int fd)
{
    struct level *level = &tree->levels[tree->depth++];
    level->fd = fd;
    level->start = level->end = 0;
    level->path_length = tree->path_length;
}

static bool begin_file(struct tree *tree, int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool fits = fstat(fd, &tree->found) == 0 && S_ISREG(tree->found.st_mode) &&
                tree->files < tree->max_files &&
                (uint64_t)tree->found.st_size <= tree->max_bytes - tree->bytes;
    if (!fits) {
        close(fd);
        return false;
    }
    tree->file = fd;
    tree->left = (uint64_t)tree->found.st_size;
    tree->header_due = tree->status_due = true;
    tree->changed = false;
    tree->files++;
    tree->bytes += tree->left;
    return true;
}

static bool begin_directory(struct tree *tree, int parent, const char *name)
{
    if (tree->depth > tree->max_depth || tree->depth >= LEVELS_MAX)
        return false;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        enter_level(tree, fd);
    return fd >= 0;
}

static bool set_path(struct tree *tree, const struct level *level, const char *name)
{
    size_t room = sizeof tree->path - level->path_length;
    int length = snprintf(tree->path + level->path_length, room, "%s%s",
                          level->path_length > 0 ? "/" : "", name);
    tree->path_length = level->path_length + (size_t)length;
    return (size_t)length < room;
}

static void visit(struct tree *tree, const struct level *level, const char *name)
{
    struct stat found;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    bool taken = false;
    if (set_path(tree, level, name) &&
        fstatat(level->fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISREG(found.st_mode))
            taken = begin_file(tree, level->fd, name);
        else if (S_ISDIR(found.st_mode))
            taken = begin_directory(tree, level->fd, name);
    }
    tree->skipped += !taken;
}

static bool refill(struct level *level)
{
    level->start = 0;
    level->end = syscall(SYS_getdents64, level->fd, level->entries, sizeof level->entries);
    return level->end > 0;
}

/* Looks at directory entries until a file has begun; false when the turn's share is used up. */
static bool find_file(struct tree *tree)
{
    for (int looked = 0; tree->depth > 0 && tree->file < 0; looked++) {
        struct level *level = &tree->levels[tree->depth - 1];
        if (looked == ENTRIES_A_TURN)
            return false;
        bool weary = tree->entries == ENTRIES_MAX;
        if (weary || (level->start == level->end && !refill(level))) {
            tree->skipped += weary;
            leave_level(tree);
            continue;
        }
        const struct entry *entry = (const struct entry *)(level->entries + level->start);
        level->start += entry->length;
        tree->entries++;
        visit(tree, level, entry->name);
    }
    return true;
}

/* --- sending them ------------------------------------------------------------------------ */

static void put_header(struct tree *tree, struct sink *sink)
{
    uint8_t *to = sink->bytes + sink->used;
    put_u32(to, (uint32_t)tree->found.st_mode & 07777);
    put_u64(to + 4, (uint64_t)tree->found.st_size);
    put_u16(to + 12, (uint16_t)tree->path_length);
    memcpy(to + RECORD_HEADER, tree->path, tree->path_length);
    sink->used += RECORD_HEADER + (uint32_t)tree->path_length;
    tree->header_due = false;
}

/* The announced size is kept to whatever happens to the file: zeros stand for what is missing. */
static void put_content(struct tree *tree, struct sink *sink)
{
    uint64_t want = tree->left < sink_room(sink) ? tree->left : sink_room(sink);
    uint8_t *to = sink->bytes + sink->used;
    ssize_t got = tree->changed ? 0 : read(tree->file, to, want);
    if (got <= 0) {
        tree->changed = true;
        memset(to, 0, want);
        got = (ssize_t)want;
    }
    sink->used += (uint32_t)got;
    tree->left -= (uint64_t)got;
}

static void end_file(struct tree *tree, struct sink *sink)
{
    sink->bytes[sink->used++] = tree->changed ? RECORD_CHANGED : RECORD_WHOLE;
    close(tree->file);
    tree->file = -1;
}

/* Puts more of the file in; false when the sink has no room for its next part. */
static bool put_file(struct tree *tree, struct sink *sink)
{
    if (tree->header_due && sink_room(sink) < RECORD_HEADER + tree->path_length)
        return false;
    if (tree->header_due)
        put_header(tree, sink);
    while (tree->left > 0 && sink_room(sink) > 0)
        put_content(tree, sink);
    if (tree->left > 0 || sink_room(sink) == 0)
        return false;
    end_file(tree, sink);
    return true;
}

/* Fills one frame; false when this turn can do no more. */
static bool fill(struct tree *tree, struct sink *sink)
{
    if (!assume_identity(tree->uid, tree->gid))
        return false;
    bool more = true;
    while (more && (tree->file >= 0 || tree->depth > 0)) {
        if (tree->file < 0)
            more = find_file(tree);
        if (more && tree->file >= 0)
            more = put_file(tree, sink);
    }
    resume_identity();
    return more;
}

static void tree_finish(struct agent *agent, struct channel *channel)
{
    struct tree *tree = channel->state;
    uint8_t bytes[64];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_CODE, 0);
    tlv_u32(&writer, TAG_FILES, tree->files);
    tlv_u64(&writer, TAG_BYTES, tree->bytes);
    tlv_u32(&writer, TAG_SKIPPED, tree->skipped);
    channel_finish(agent, channel, FRAME_EXIT, (struct slice){bytes, (uint32_t)writer.length});
}

static bool tree_work(struct agent *agent, struct channel *channel)
{
    struct tree *tree = channel->state;
    if (!channel_may_send(agent, channel))
        return channel->send_credit > 0;
    struct sink sink = {outbox_payload(&agent->outbox), 0, channel_allowance(channel)};
    fill(tree, &sink);
    if (sink.used > 0)
        channel_send_data(agent, channel, STREAM_OUT, sink.used);
    if (tree->file < 0 && tree->depth == 0) {
        tree_finish(agent, channel);
        return false;
    }
    /* With less credit than a header may need, the next grant is what to wait for. */
    return channel->send_credit >= RECORD_HEADER + PATH_MAX;
}

static void tree_destroy(struct agent *agent, struct channel *channel)
{
    (void)agent;
    struct tree *tree = channel->state;
    if (tree->file >= 0)
        close(tree->file);
    while (tree->depth > 0)
        leave_level(tree);
    free(tree);
}

static const struct channel_ops tree_ops = {
    .work = tree_work,
    .destroy = tree_destroy,
};

/* A root that is a regular file is the one record, with an empty path. */
static bool open_root(struct tree *tree, const struct request *request)
{
    struct place place;
    struct stat found;
    if (!find_place(request->root, request->path, false, &place))
        return false;
    bool taken = false;
    if (fstatat(place.directory, place.name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = S_ISLNK(found.st_mode) ? ELOOP : EFBIG;
        if (S_ISDIR(found.st_mode))
            taken = begin_directory(tree, place.directory, place.name);
        else if (S_ISREG(found.st_mode))
            taken = begin_file(tree, place.directory, place.name);
    }
    leave_place(&place);
    return taken;
}

static bool tree_begin(struct tree *tree, const struct request *request)
{
    errno = EINVAL;
    if (!request_has(request, TAG_ROOT) || !request_has(request, TAG_UID) ||
        !request_has(request, TAG_GID) || !request_has(request, TAG_MAX_FILES) ||
        !request_has(request, TAG_MAX_BYTES) || !assume_identity(tree->uid, tree->gid))
        return false;
    bool begun = open_root(tree, request);
    resume_identity();
    return begun;
}

void open_read(struct agent *agent, uint32_t id, const struct request *request)
{
    struct tree *tree = calloc(1, sizeof *tree);
    if (!tree) {
        agent_refuse(agent, id, ENOMEM, strerror(ENOMEM));
        return;
    }
    tree->uid = request->uid;
    tree->gid = request->gid;
    tree->max_files = request->max_files;
    tree->max_bytes = request->max_bytes;
    tree->max_depth = request_has(request, TAG_MAX_DEPTH) ? request->max_depth : LEVELS_MAX;
    tree->file = -1;
    struct channel *channel = NULL;
    if (!tree_begin(tree, request))
        agent_refuse(agent, id, errno, strerror(errno));
    else if (!(channel = channel_open(agent, id, &tree_ops, tree)))
        agent_refuse(agent, id, EMFILE, "too many channels");
    if (!channel) {
        struct channel unopened = {.state = tree};
        tree_destroy(agent, &unopened);
    }
}
