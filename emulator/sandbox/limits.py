"""How much of the machine one sandbox may use, and how much all of them together."""

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

MIB = 1024 * 1024
MEMORY_PER_VCPU = 2048 * MIB
_CPU_PERIOD = 100_000
_PAGE = 4096
"""The smallest page there is: with larger ones the bound is wider, still far from the memory's."""


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


class Budget:
    """Hands out `total` bytes: parties that wait are served in turn, each in its own order.

    Whose turn it is waits for as much as it asked for, and nobody overtakes it: what is large is
    not starved by what is small.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: OrderedDict[str, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()
        """What each party waits for; the first party is the next to be served."""

    @asynccontextmanager
    async def promise(self, amount: int, party: str) -> AsyncIterator[None]:
        """Hold `amount` bytes (at most the total) for the block, waiting until they are free."""
        amount = min(amount, self.total)
        await self._take(amount, party)
        try:
            yield
        finally:
            self._free += amount
            self._serve()

    async def _take(self, amount: int, party: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (amount, turn)
        self._waiting.setdefault(party, deque()).append(entry)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += amount
            else:
                self._forget(party, entry)
            self._serve()
            raise

    def _forget(self, party: str, entry: tuple[int, asyncio.Future[None]]) -> None:
        queue = self._waiting.get(party, deque())
        if entry in queue:
            queue.remove(entry)
        if not queue:
            self._waiting.pop(party, None)

    def _serve(self) -> None:
        while self._waiting:
            party, queue = next(iter(self._waiting.items()))
            amount, turn = queue[0]
            if turn.cancelled():
                self._forget(party, queue[0])
                continue
            if amount > self._free:
                return
            queue.popleft()
            self._free -= amount
            turn.set_result(None)
            if queue:
                self._waiting.move_to_end(party)
            else:
                del self._waiting[party]
