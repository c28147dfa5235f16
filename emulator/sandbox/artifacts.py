"""What a run leaves for its sender: its files, the compiled program, its WebAssembly module."""

import errno
from dataclasses import dataclass
from pathlib import PurePosixPath

from emulator.sandbox.agent import Agent, FileRefused
from emulator.sandbox.program import Artifact, Artifacts, Program
from emulator.sandbox.runtimes import ARTIFACTS_DIRECTORY

MAX_ARTIFACTS = 100
"""Files from the artifact directory."""
MAX_ARTIFACT_BYTES = 32 * 1024 * 1024
"""Of everything that one run returns."""


@dataclass(slots=True)
class ArtifactReader:
    """Reads with the rights of the run's user, following no link, within the bounds above."""

    agent: Agent
    uid: int
    program: Program
    _room: int = MAX_ARTIFACT_BYTES
    _skipped: int = 0

    async def read(self, *, compiled: bool) -> Artifacts:
        """What was asked for and is there; `compiled` says that the compiler did its work.

        What the compilers made comes first, so that no flood of files takes its room. A file that
        is named like one of theirs keeps its name: then theirs is not among the files.
        """
        runtime, program = self.program.runtime, self.program
        binary = wasm = None
        if compiled and program.return_artifact:
            binary = await self._one(runtime.binary_path)
        if compiled and program.return_wasm_artifact:
            wasm = await self._one(runtime.wasm_path)
        files = await self._tree(ARTIFACTS_DIRECTORY) if program.return_artifact else []
        names = {file.filename for file in files}
        files += [one for one in (binary, wasm) if one is not None and one.filename not in names]
        return Artifacts(tuple(files), binary, wasm, self._skipped)

    async def _one(self, path: str | None) -> Artifact | None:
        if path is None:
            return None
        found = await self._tree(path)
        return Artifact(PurePosixPath(path).name, found[0].content) if found else None

    async def _tree(self, path: str) -> list[Artifact]:
        reading = self.agent.read_tree(
            path, uid=self.uid, gid=self.uid, max_files=MAX_ARTIFACTS, max_bytes=self._room
        )
        try:
            tree = await reading
        except FileRefused as refusal:  # the program removed it, or it was never made
            self._skipped += refusal.errno == errno.EFBIG
            return []
        self._room -= sum(len(file.content) for file in tree.files)
        self._skipped += tree.skipped
        return [Artifact(file.path, file.content) for file in tree.files]
