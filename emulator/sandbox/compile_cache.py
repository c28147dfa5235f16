"""Programs that were compiled before: kept for who sent them, within a bound, in memory.

An entry is found again only by the same account, image, compiler, environment and source. It is
what the compiler left, read before the program that it made could change it. A compile that reads
or leaves anything else is done anew each time: one with input files, or with a network, and one
that leaves files where its sender or its program would find them.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from emulator.sandbox.program import Outcome, Program
from emulator.sandbox.runtimes import Runtime

_ENTRY_SHARE = 4
"""One entry takes at most this part of the whole."""
_ENTRY_OVERHEAD = 512
_CACHED_NETWORK_MODE = "zerotrust"


@dataclass(frozen=True, slots=True)
class Compiled:
    """The program that a compiler left, with its permissions, and what the compiler printed."""

    binary: bytes
    mode: int
    printed: Outcome

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        printed = len(self.printed.stdout.data) + len(self.printed.stderr.data)
        return len(self.binary) + printed + _ENTRY_OVERHEAD


class CompileCache:
    """What was used last stays; `limit` is in bytes, and 0 keeps nothing.

    `image` tells the image that runs of a runtime are compiled in.
    """

    def __init__(self, limit: int, image: Callable[[Runtime], str]) -> None:
        self._limit = limit
        self._image = image
        self._entries: OrderedDict[bytes, Compiled] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    @property
    def entry_limit(self) -> int:
        """Bytes of the largest program that is kept."""
        return self._limit // _ENTRY_SHARE

    def key(self, program: Program) -> bytes | None:
        """What a compile of `program` is found by; None for one that is not kept.

        MessagePack writes the length of each part before it: no two programs have the same bytes.
        """
        runtime = program.runtime
        if (
            self._limit == 0
            or runtime.binary_path is None
            or program.input_files
            or program.return_wasm_artifact  # two compilers, of which one would be spared
            or program.network_mode != _CACHED_NETWORK_MODE
        ):
            return None
        parts = (
            program.account,
            self._image(runtime),
            runtime.source_path,
            runtime.compile_command,
            sorted({**runtime.environment, **program.env}.items()),
            program.code,
        )
        return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()

    def find(self, key: bytes | None) -> Compiled | None:
        """What was compiled under `key`; counted as a hit or a miss."""
        if key is None:
            return None
        found = self._entries.get(key)
        if found is None:
            self._misses += 1
        else:
            self._hits += 1
            self._entries.move_to_end(key)
        return found

    def keep(self, key: bytes, compiled: Compiled) -> None:
        """Keep a compile that succeeded, in place of those that were not used for longest."""
        if compiled.bytes > self.entry_limit or key in self._entries:
            return
        self._entries[key] = compiled
        self._bytes += compiled.bytes
        while self._bytes > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.bytes

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def figures(self) -> dict[str, int]:
        """Entries, their bytes and the bound of these; how often one was found and was not."""
        return {
            "entries": len(self._entries),
            "bytes": self._bytes,
            "limit_bytes": self._limit,
            "hits": self._hits,
            "misses": self._misses,
        }
