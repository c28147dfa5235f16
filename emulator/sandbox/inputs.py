"""What was sent along with a request, as files of a sandbox."""

import asyncio
import errno
from collections.abc import Awaitable, Iterable
from pathlib import PurePosixPath

from emulator.errors import BadRequest
from emulator.sandbox.agent import Agent, FileRefused
from emulator.sandbox.program import InputFile
from emulator.sandbox.runtime import INPUT_DIRECTORY


class Inputs:
    """Files being written: into the working directory, with a link in the directory above.

    All leaves at once, in the order of the calls; `written` waits for what the agent says.
    """

    def __init__(self, agent: Agent, files: Iterable[InputFile], uid: int) -> None:
        names: dict[str, None] = {}
        self._files: list[Awaitable[None]] = []
        for file in files:
            names[file.path.partition("/")[0]] = None
            place = f"{INPUT_DIRECTORY}/{file.path}"
            self._files.append(agent.write_file(place, file.content, uid=uid, gid=uid, mode=0o755))
        directory = PurePosixPath(INPUT_DIRECTORY)
        self._links = [
            agent.make_symlink(
                f"{directory.parent}/{name}", f"{directory.name}/{name}", uid=uid, gid=uid
            )
            for name in sorted(names)
        ]

    async def written(self) -> None:
        """Return when all are there; a name that is taken above gets no link.

        Raises:
            BadRequest: the sandbox cannot have a file of that name.
            AgentLost: the agent is gone.
        """
        for number, refused in enumerate(await _outcomes(self._files)):
            if isinstance(refused, FileRefused):
                raise BadRequest(f"input_files[{number}].filename: {refused.text}")
            if refused is not None:
                raise refused
        for refused in await _outcomes(self._links):
            if isinstance(refused, FileRefused) and refused.errno == errno.EEXIST:
                continue
            if refused is not None:
                raise refused


async def _outcomes(work: list[Awaitable[None]]) -> list[BaseException | None]:
    return await asyncio.gather(*work, return_exceptions=True)
