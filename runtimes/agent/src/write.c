/* OPEN of kinds WRITE, MKDIR and SYMLINK: files made with the rights of the sandbox's user. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "files.h"
#include "tlv.h"

struct upload {
    int fd;
    struct place place; /* to take a half-written file away again */
    uid_t uid;
    gid_t gid;
    uint64_t left;
    bool complete;
};

static void finish_ok(struct agent *agent, struct channel *channel)
{
    uint8_t bytes[16];
    struct tlv_writer writer = {.bytes = bytes, .capacity = sizeof bytes};
    tlv_u32(&writer, TAG_CODE, 0);
    channel_finish(agent, channel, FRAME_EXIT, (struct slice){bytes, (uint32_t)writer.length});
}

/* Quotas and limits are those of the file system; the agent itself is not held to any. */
static bool write_whole(int fd, struct slice bytes)
{
    while (bytes.length > 0) {
        ssize_t sent = write(fd, bytes.bytes, bytes.length);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes.bytes += sent;
        bytes.length -= (uint32_t)sent;
    }
    return true;
}

static void upload_data(struct agent *agent, struct channel *channel, struct slice bytes)
{
    struct upload *upload = channel->state;
    if (bytes.length > upload->left) {
        channel_fail(agent, channel, EFBIG, "more bytes than announced");
        return;
    }
    if (!write_whole(upload->fd, bytes)) {
        channel_fail(agent, channel, errno, strerror(errno));
        return;
    }
    upload->left -= bytes.length;
    channel_consumed(agent, channel, bytes.length);
}

static void upload_eof(struct agent *agent, struct channel *channel)
{
    struct upload *upload = channel->state;
    if (upload->left > 0)
        channel_fail(agent, channel, EIO, "fewer bytes than announced");
    else
        finish_ok(agent, channel);
    upload->complete = upload->left == 0;
}

static void upload_free(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->fd >= 0 && !upload->complete && assume_identity(upload->uid, upload->gid)) {
        unlinkat(upload->place.directory, upload->place.name, 0);
        resume_identity();
    }
    leave_place(&upload->place);
    free(upload);
}

static void upload_destroy(struct agent *agent, struct channel *channel)
{
    (void)agent;
    upload_free(channel->state);
}

static const struct channel_ops upload_ops = {
    .data = upload_data,
    .eof = upload_eof,
    .destroy = upload_destroy,
};

static bool make_file(struct upload *upload, const struct request *request)
{
    struct place *place = &upload->place;
    if (!find_place(request->root, request->path, true, place))
        return false;
    upload->fd = openat(place->directory, place->name,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
                        (mode_t)request->mode & 0777);
    if (upload->fd < 0)
        leave_place(place);
    return upload->fd >= 0;
}

static bool make_directory(const struct request *request)
{
    struct place place;
    if (!find_place(request->root, request->path, true, &place))
        return false;
    struct stat found;
    int made = mkdirat(place.directory, place.name, (mode_t)request->mode & 0777);
    if (made < 0 && errno == EEXIST &&
        fstatat(place.directory, place.name, &found, AT_SYMLINK_NOFOLLOW) == 0)
        made = S_ISDIR(found.st_mode) ? 0 : -1;
    leave_place(&place);
    return made == 0;
}

static bool make_symlink(const struct request *request)
{
    char target[PATH_MAX];
    struct place place;
    if (request->target.length == 0 || !slice_text(request->target, target, sizeof target)) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (!find_place(request->root, request->path, true, &place))
        return false;
    int made = symlinkat(target, place.directory, place.name);
    leave_place(&place);
    return made == 0;
}

static bool complete(const struct request *request)
{
    return request_has(request, TAG_ROOT) && request_has(request, TAG_PATH) &&
           request_has(request, TAG_UID) && request_has(request, TAG_GID);
}

/* Makes what `make` makes, as the request's user, and answers at once. */
static void make_at_once(struct agent *agent, uint32_t id, const struct request *request,
                         bool (*make)(const struct request *))
{
    bool made = false;
    errno = EINVAL;
    if (complete(request) && assume_identity(request->uid, request->gid)) {
        made = make(request);
        resume_identity();
    }
    if (!made) {
        agent_refuse(agent, id, errno, strerror(errno));
        return;
    }
    struct channel channel = {.id = id};
    finish_ok(agent, &channel);
}

void open_mkdir(struct agent *agent, uint32_t id, const struct request *request)
{
    make_at_once(agent, id, request, make_directory);
}

void open_symlink(struct agent *agent, uint32_t id, const struct request *request)
{
    make_at_once(agent, id, request, make_symlink);
}

static bool start_upload(struct upload *upload, const struct request *request)
{
    errno = EINVAL;
    if (!complete(request) || !request_has(request, TAG_SIZE) ||
        !assume_identity(upload->uid, upload->gid))
        return false;
    bool made = make_file(upload, request);
    resume_identity();
    return made;
}

void open_write(struct agent *agent, uint32_t id, const struct request *request)
{
    struct upload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        agent_refuse(agent, id, ENOMEM, strerror(ENOMEM));
        return;
    }
    *upload = (struct upload){
        .fd = -1, .uid = request->uid, .gid = request->gid, .left = request->size};
    upload->place.directory = -1;
    struct channel *channel = NULL;
    if (!start_upload(upload, request))
        agent_refuse(agent, id, errno, strerror(errno));
    else if (!(channel = channel_open(agent, id, &upload_ops, upload)))
        agent_refuse(agent, id, EMFILE, "too many channels");
    if (!channel)
        upload_free(upload);
}
