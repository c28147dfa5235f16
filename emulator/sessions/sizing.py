"""Another number of vCPUs for a session or service that runs, with 2 GiB each."""

from contextlib import AsyncExitStack
from typing import Protocol

from emulator.accounts import Account
from emulator.errors import Conflict
from emulator.limits import Holding
from emulator.sandbox.limits import MIB
from emulator.sandbox.machine import Machine, Machines
from emulator.sessions.failures import failures
from emulator.sessions.promises import Promises
from emulator.stop import Stop


class SizedRecord(Protocol):
    """What is kept of its size; `vcpu` may be less than it was made with."""

    vcpu: int

    @property
    def owner(self) -> str: ...

    @property
    def base_vcpu(self) -> int: ...

    @property
    def added_vcpu(self) -> int: ...


class Sized(Protocol):
    """A session or service; `boost` is what it was promised beyond what it was made with."""

    boost: AsyncExitStack

    @property
    def record(self) -> SizedRecord: ...

    @property
    def machine(self) -> Machine: ...

    @property
    def slots(self) -> Holding: ...

    @property
    def over(self) -> bool: ...


class Sizing:
    """Changes sizes, each change whole or not at all."""

    def __init__(self, machines: Machines, promises: Promises, refusal: str) -> None:
        """`refusal` is told where more is in use than there would be: `used`, `limit` in MiB."""
        self._machines = machines
        self._promises = promises
        self._refusal = refusal

    async def change(self, one: Sized, vcpu: int, account: Account, stop: Stop) -> None:
        """Give it `vcpu`; nothing changes where it has ended meanwhile. It is not saved.

        Raises:
            Conflict: it uses more memory than it would have.
            ConcurrencyLimited: each vCPU over what it was made with takes a slot.
            NoCapacity: there was no memory for it in time.
            SandboxFailed: the engine does not do it.
        """
        record = one.record
        await self._check_memory(one, vcpu)
        added = max(0, vcpu - record.base_vcpu)
        more = added - record.added_vcpu
        async with AsyncExitStack() as undo:
            if more > 0:
                one.slots.take(account, more)
                undo.callback(one.slots.give_back, more)
            promised = await self._promises.make(added, record.owner, stop)
            undo.push_async_callback(promised.aclose)
            with failures():
                await self._machines.resize(one.machine, vcpu)
            if one.over:
                return
            undo.pop_all()
        one.slots.give_back(max(0, -more))
        one.boost, before = promised, one.boost
        await before.aclose()
        record.vcpu = vcpu

    async def _check_memory(self, one: Sized, vcpu: int) -> None:
        """The kernel would end programs to make room, so it is not asked to."""
        if vcpu >= one.record.vcpu:
            return
        with failures():
            used = await self._machines.memory_in_use(one.machine)
        limit = self._machines.limits(vcpu).memory_bytes
        if used > limit:
            raise Conflict(self._refusal.format(used=used // MIB, limit=limit // MIB))
