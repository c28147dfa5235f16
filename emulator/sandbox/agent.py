"""The client of a sandbox's agent: programs, files and connections over one stream of bytes.

`Agent` is given something to write to and fed what comes back; how the bytes travel is not its
concern (`attach.py` knows Docker's way). Methods that open a channel send their request at once, in
the order of the calls, and hand out something to await later; inside `with agent.pipeline():` all
of it leaves in one write.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from emulator.sandbox import messages
from emulator.sandbox.agent_errors import (
    AgentError,
    AgentLost,
    ChannelClosed,
    ConnectFailed,
    FileRefused,
    Refused,
    SpawnFailed,
)
from emulator.sandbox.conversation import Conversation
from emulator.sandbox.frames import Type
from emulator.sandbox.kinds import (
    Cleaning,
    Collected,
    Datagrams,
    Listener,
    Process,
    Reading,
    Stream,
    Tree,
    Upload,
)
from emulator.sandbox.messages import CleanReport, Exit, Hello, Scope, Spawn
from emulator.sandbox.records import File

__all__ = [
    "Agent",
    "AgentError",
    "AgentLost",
    "ChannelClosed",
    "CleanReport",
    "Collected",
    "ConnectFailed",
    "Datagrams",
    "Exit",
    "File",
    "FileRefused",
    "Hello",
    "Listener",
    "Process",
    "Refused",
    "Scope",
    "Spawn",
    "SpawnFailed",
    "Stream",
    "Tree",
]


class Agent(Conversation):
    """What can be asked of an agent; `hello` comes first, and `closed` is done when it is lost."""

    # --- programs --------------------------------------------------------------------------

    def spawn(self, spawn: Spawn) -> Process:
        """Starts a program; whether it did is told by what the process is awaited for."""
        process = Process(self, next(self._ids), spawn.output_limit)
        self._open(process, spawn.encode())
        return process

    def adopt(self, key: str) -> Process:
        """Goes on with a kept process of an earlier epoch; SpawnFailed when there is none."""
        process = Process(self, next(self._ids), None)
        self._register(process)
        self.send(Type.ADOPT, process.id, messages.adopt(key))
        return process

    def signal_all(self, signo: int) -> None:
        """Signals every process of the sandbox but the agent."""
        self.send(Type.SIGNAL, 0, bytes((signo, Scope.ALL)))

    async def clean(self, mounts: Sequence[str]) -> CleanReport:
        """Kills everything, empties these mounts, removes IPC objects; tells what was left."""
        cleaning = Cleaning(self, next(self._ids))
        self._register(cleaning)
        self.send(Type.CLEAN, cleaning.id, messages.clean(mounts))
        return await cleaning.outcome()

    # --- files -----------------------------------------------------------------------------

    def write_file(
        self,
        path: str,
        data: bytes | memoryview,
        *,
        uid: int,
        gid: int,
        mode: int = 0o644,
        root: str = "/",
    ) -> Awaitable[None]:
        """Writes a new file below `root` with the rights of `uid`; missing directories are made.

        No symbolic link is followed, and nothing is written over: FileRefused tells the errno. Up
        to a window (256 KiB) is sent at once, the rest as the agent takes it.
        """
        upload = Upload(self, next(self._ids))
        with self.pipeline():
            self._open(upload, messages.write(root, path, mode, uid, gid, len(data)))
            rest = upload.send_now(data)
            if not rest:
                upload.send_eof()
        if rest:
            self._background(upload.pump(rest))
        return upload.outcome()

    def make_directory(
        self, path: str, *, uid: int, gid: int, mode: int = 0o755, root: str = "/"
    ) -> Awaitable[None]:
        """Makes a directory below `root`; one that exists already is fine."""
        return self._make(messages.mkdir(root, path, mode, uid, gid))

    def make_symlink(
        self, path: str, target: str, *, uid: int, gid: int, root: str = "/"
    ) -> Awaitable[None]:
        """Makes a symbolic link below `root`; FileRefused with EEXIST when the name exists."""
        return self._make(messages.symlink(root, path, target, uid, gid))

    def read_tree(
        self,
        root: str,
        *,
        uid: int,
        gid: int,
        max_files: int,
        max_bytes: int,
        max_depth: int = 16,
    ) -> Awaitable[Tree]:
        """The regular files below `root`, or `root` itself when it is one, as `uid` can read them.

        No symbolic link is followed. What exceeds the limits is passed over and counted.
        """
        reading = Reading(self, next(self._ids), max_files, max_bytes)
        self._open(reading, messages.read(root, uid, gid, max_files, max_bytes, max_depth))
        return reading.outcome()

    # --- connections -----------------------------------------------------------------------

    async def connect(self, port: int, address: str = "127.0.0.1") -> Stream:
        """Connects to a TCP port inside the sandbox; raises ConnectFailed."""
        return await self._connect(messages.connect_tcp(address, port))

    async def connect_unix(self, path: str, *, uid: int, gid: int) -> Stream:
        """Connects to a Unix socket inside the sandbox, with the rights of `uid`."""
        return await self._connect(messages.connect_unix(path, uid, gid))

    async def datagrams(
        self, port: int, receive: Callable[[bytes], None], address: str = "127.0.0.1"
    ) -> Datagrams:
        """A UDP socket that talks to a port inside the sandbox; raises ConnectFailed.

        `receive` is called with each datagram that comes back, and does not raise.
        """
        channel = Datagrams(self, next(self._ids), receive)
        self._open(channel, messages.datagrams(address, port))
        try:
            await channel.connected()
        except asyncio.CancelledError:
            channel.close()
            raise
        return channel

    async def listen(self, port: int, address: str = "127.0.0.1") -> Listener:
        """Listens on a TCP port inside the sandbox, 0 for any; raises ConnectFailed."""
        listener = Listener(self, next(self._ids))
        self._open(listener, messages.listen(address, port))
        await listener.port()
        return listener

    async def _connect(self, request: bytes) -> Stream:
        stream = Stream(self, next(self._ids))
        self._open(stream, request)
        try:
            await stream.connected()
        except asyncio.CancelledError:
            stream.close()
            raise
        return stream

    def _make(self, request: bytes) -> Awaitable[None]:
        upload = Upload(self, next(self._ids))
        self._open(upload, request)
        return upload.outcome()
