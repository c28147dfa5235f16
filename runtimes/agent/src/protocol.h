/* The wire protocol in constants. docs/agent.md is the reference; emulator/sandbox/frames.py the other side. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

enum {
    PROTOCOL_VERSION = 1,
    HEADER_SIZE = 20,
    PAYLOAD_MAX = 65536,
    FRAME_MAX = HEADER_SIZE + PAYLOAD_MAX,
    OPEN_MAX_BYTES = 2 * 1024 * 1024,
    WINDOW_MIN = PAYLOAD_MAX,
    WINDOW_MAX = 4 * 1024 * 1024,
    CHANNELS_MAX = 256,
    KEY_MAX = 64,
    PING_MAX = 64,
};

#define OWN_CHANNELS 0x80000000u

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_OPEN = 2,
    FRAME_OPENED = 3,
    FRAME_DATA = 4,
    FRAME_EOF = 5,
    FRAME_CREDIT = 6,
    FRAME_SIGNAL = 7,
    FRAME_RESIZE = 8,
    FRAME_EXIT = 9,
    FRAME_ERROR = 10,
    FRAME_CLOSE = 11,
    FRAME_ADOPT = 12,
    FRAME_CLEAN = 13,
    FRAME_REPORT = 14,
    FRAME_PING = 15,
    FRAME_PONG = 16,
};

/* Flags: OPEN says whether more of the request follows; DATA and EOF name their stream. */
enum { FLAG_MORE = 1 };
enum stream { STREAM_IN = 0, STREAM_OUT = 1, STREAM_ERR = 2 };

enum open_kind {
    OPEN_EXEC = 1,
    OPEN_WRITE = 2,
    OPEN_MKDIR = 3,
    OPEN_SYMLINK = 4,
    OPEN_READ = 5,
    OPEN_CONNECT = 6,
    OPEN_LISTEN = 7,
    OPEN_ACCEPTED = 8,
    OPEN_DATAGRAMS = 9,
    OPEN_KINDS,
};

enum signal_scope { SCOPE_GROUP = 0, SCOPE_ALL = 1, SCOPE_FOREGROUND = 2, SCOPES };

enum tag {
    TAG_VERSION = 1,
    TAG_WINDOW = 2,
    TAG_BOOT_ID = 3,
    TAG_KEY = 4,
    TAG_KIND = 5,
    TAG_ARG = 6,
    TAG_ENV = 7,
    TAG_CWD = 8,
    TAG_UID = 9,
    TAG_GID = 10,
    TAG_STDIN = 11,
    TAG_PTY = 12,
    TAG_RLIMIT = 13,
    TAG_OUTPUT_LIMIT = 14,
    TAG_ALONE = 15,
    TAG_UMASK = 16,
    TAG_ROOT = 17,
    TAG_PATH = 18,
    TAG_MODE = 19,
    TAG_SIZE = 20,
    TAG_TARGET = 21,
    TAG_MAX_FILES = 22,
    TAG_MAX_BYTES = 23,
    TAG_MAX_DEPTH = 24,
    TAG_ADDRESS = 25,
    TAG_PORT = 26,
    TAG_LISTENER = 27,
    TAG_PID = 28,
    TAG_ERRNO = 29,
    TAG_TEXT = 30,
    TAG_MOUNT = 31,
    TAG_CODE = 32,
    TAG_SIGNAL = 33,
    TAG_USER_US = 34,
    TAG_SYSTEM_US = 35,
    TAG_MAX_RSS_KIB = 36,
    TAG_WALL_US = 37,
    TAG_STDOUT_SEEN = 38,
    TAG_STDOUT_DROPPED = 39,
    TAG_STDERR_SEEN = 40,
    TAG_STDERR_DROPPED = 41,
    TAG_OOM_KILLS = 42,
    TAG_PROCESSES = 43,
    TAG_FILES = 44,
    TAG_BYTES = 45,
    TAG_SKIPPED = 46,
    TAG_IPC = 47,
    TAG_SOCKETS = 48,
    TAG_ELAPSED_US = 49,
    TAGS,
};

#endif
