"""How much of the machine one sandbox may use, and how much all of them together."""

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from math import inf
from operator import itemgetter

MIB = 1024 * 1024
MEMORY_PER_VCPU = 2048 * MIB
_CPU_PERIOD = 100_000
_PAGE = 4096
"""The smallest page there is: with larger ones the bound is wider, still far from the memory's."""
_TTY_GROUP = 5
"""The same number in all distributions."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one container; memory in bytes, CPU in microseconds of each period."""

    memory_bytes: int = MEMORY_PER_VCPU
    cpu_period: int = _CPU_PERIOD
    cpu_quota: int = _CPU_PERIOD
    pids: int = 256
    shm_bytes: int = 64 * MIB
    tmp_bytes: int = 512 * MIB
    inodes: int = 65_536
    terminals: int = 64

    @classmethod
    def for_vcpu(cls, vcpu: int, memory_budget: int) -> "Limits":
        """`vcpu` processors with 2 GiB each, as far as this machine has them.

        Args:
            vcpu: 1 to 8.
            memory_budget: bytes that all sandboxes may be promised together.
        """
        return cls(
            memory_bytes=min(vcpu * MEMORY_PER_VCPU, memory_budget),
            cpu_quota=min(vcpu, processors()) * _CPU_PERIOD,
        )

    @property
    def tmpfs(self) -> dict[str, str]:
        """Every place that can be written to, with its mount options.

        Programs are compiled and run in /tmp, so `exec`. Inodes are kernel memory, so they are
        bounded too.
        """
        common = f"rw,nosuid,nodev,mode=1777,nr_inodes={self.inodes}"
        return {
            "/tmp": f"{common},exec,size={self.tmp_bytes}",  # noqa: S108 - inside the sandbox
            "/dev/shm": f"{common},noexec,size={self.shm_bytes}",  # noqa: S108
        }

    @property
    def terminal_options(self) -> str:
        """The mount options of /dev/pts: what the machine has of terminals is for all."""
        return f"nosuid,noexec,gid={_TTY_GROUP},mode=620,ptmxmode=666,max={self.terminals}"

    @property
    def sysctls(self) -> dict[str, str]:
        """System V shared memory lies in no mount and outlives its processes.

        A connection that waits for late packets (TIME_WAIT) would keep its port from the next run.
        On loopback no packet is late. What the kernel learns of a peer outlives the connections
        to it, and anybody may list the peers.
        """
        return {
            "kernel.shmall": str(self.shm_bytes // _PAGE),
            "net.ipv4.tcp_max_tw_buckets": "0",
            "net.ipv4.tcp_no_metrics_save": "1",
            "net.ipv4.tcp_fastopen": "0",
        }


@cache
def processors() -> int:
    """How many this machine has; every run asks, and the system reads files to say it."""
    return os.cpu_count() or 1


def machine_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """What somebody waits for, or holds; `seconds` is the longest that it will be held."""

    party: str
    amount: int
    seconds: float
    turn: asyncio.Future[None]


class Budget:
    """Hands out `total` bytes: parties that wait are served in turn, each in its own order.

    Whose turn it is waits for as much as it asked for. Others may overtake it only where that
    does not keep it waiting: because they have ended by the time that enough can be free for it,
    or need no more than is left over then. So what is large is not starved by what is small, and
    what is small does not stand behind it for nothing.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: OrderedDict[str, deque[_Request]] = OrderedDict()
        """What each party waits for; the first party is the next to be served."""
        self._held: dict[_Request, float] = {}
        """When each that was served has ended at the latest, in the loop's time."""

    @asynccontextmanager
    async def promise(self, amount: int, party: str, seconds: float = inf) -> AsyncIterator[None]:
        """Hold `amount` bytes (at most the total) for the block, waiting until they are free.

        `seconds` is how long the block takes at the most.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = _Request(party, min(amount, self.total), seconds, turn)
        self._waiting.setdefault(party, deque()).append(request)
        self._serve()
        try:
            await turn
            yield
        finally:
            self._end(request)
            self._serve()

    def _end(self, request: _Request) -> None:
        """Served or not, it is no longer wanted."""
        if request in self._held:
            del self._held[request]
            self._free += request.amount
        else:
            self._leave_the_line(request)

    def _leave_the_line(self, request: _Request) -> None:
        queue = self._waiting[request.party]
        queue.remove(request)
        if not queue:
            del self._waiting[request.party]

    def _serve(self) -> None:
        while self._waiting:
            first = next(iter(self._waiting.values()))[0]
            if first.amount > self._free:
                self._serve_others(first)
                return
            self._grant(first)
            if first.party in self._waiting:
                self._waiting.move_to_end(first.party)

    def _grant(self, request: _Request) -> None:
        self._leave_the_line(request)
        self._free -= request.amount
        self._held[request] = asyncio.get_running_loop().time() + request.seconds
        if not request.turn.done():  # else who waited gives up just now, and ends it
            request.turn.set_result(None)

    def _serve_others(self, first: _Request) -> None:
        """Those that do not keep `first` waiting, the parties in turn."""
        now = asyncio.get_running_loop().time()
        turn_of_first, left_over = self._outlook(first)
        rounds = zip_longest(*self._waiting.values())
        for request in [one for round_ in rounds for one in round_ if one not in (None, first)]:
            ends_before = now + request.seconds < turn_of_first
            if request.amount <= self._free and (ends_before or request.amount <= left_over):
                left_over -= 0 if ends_before else request.amount
                self._grant(request)

    def _outlook(self, first: _Request) -> tuple[float, int]:
        """When enough is free for `first` at the latest, and how much is left over then."""
        free = self._free
        for request, ends in sorted(self._held.items(), key=itemgetter(1)):
            free += request.amount
            if free >= first.amount:
                return ends, free - first.amount
        return inf, 0
