"""Shells in services: each client has one of its own, beside what runs there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from emulator.errors import Conflict
from emulator.sandbox.agent import AgentError
from emulator.sandbox.shells import Shells
from emulator.services import bootstrap
from emulator.services.service import Service
from emulator.services.services import Services, require_running
from emulator.sessions.doors import CLIENTS_MOST, hang_up
from emulator.sessions.ending import Ending
from emulator.sessions.failures import failures
from emulator.sessions.multiplexers import COLUMNS, ROWS
from emulator.sessions.session import Client
from emulator.sessions.terminal import Terminal


class ServiceDoors:
    """Opens shells of services."""

    def __init__(self, services: Services, shells: Shells) -> None:
        self._services = services
        self._shells = shells

    @asynccontextmanager
    async def opened(self, service: Service) -> AsyncIterator[Client]:
        """A client of a shell of its own for the block.

        Raises:
            Conflict: the service does not run, or has as many clients as there may be.
            SandboxFailed: the shell does not start.
        """
        async with self._services.held(service):
            _require_place(service)
            require_running(service)
            with failures():
                terminal = await self._terminal(service)
            client = Client(terminal.join(), asyncio.get_running_loop().create_future(), terminal)
            service.clients.add(client)
        watch = asyncio.create_task(_until_exit(client))
        try:
            yield client
        finally:
            service.clients.discard(client)
            client.viewer.leave()
            watch.cancel()
            await hang_up(terminal)

    async def _terminal(self, service: Service) -> Terminal:
        command = self._shells.named(self._shells.usual).command
        process = service.machine.spawn(command, pty=(COLUMNS, ROWS), env=service.environment)
        async with bootstrap.in_time():
            await process.started()
        return Terminal(process)


def _require_place(service: Service) -> None:
    if len(service.clients) >= CLIENTS_MOST:
        raise Conflict(f"{CLIENTS_MOST} clients are at shells of this service; close one first")


async def _until_exit(client: Client) -> None:
    with suppress(AgentError):
        await client.terminal.ended
        client.finish(Ending("exit"))
