"""The files that an image build may read, and a hash that changes exactly when they do."""

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from docker.utils.build import exclude_paths

NO_BUILD_INPUT = ("runtime.toml", "test", "tests", "fuzz", ".build", "*.md")
"""What lies in a folder beside its image's files; a folder's `.dockerignore` may name more."""

EXTRA_CA = "extra-ca.pem"
"""The file in every context that holds the extra CA certificates, or nothing.

Dockerfiles copy it in a stage that is thrown away. It is no part of the hash: who is asked for a
package does not change the package.
"""


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The build inputs of a folder, as they were when it was read: a tar file."""

    content: bytes = field(repr=False)

    @classmethod
    def of(cls, root: Path, dockerfile: str = "Dockerfile") -> "BuildContext":
        """Read `root`, without what it says to ignore."""
        patterns = [*NO_BUILD_INPUT, *_ignored(root / ".dockerignore")]
        paths = sorted(exclude_paths(str(root), patterns, dockerfile=dockerfile))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in paths:
                if (root / path).is_symlink() or (root / path).is_file():
                    tar.add(root / path, path, filter=_same_everywhere)
        return cls(buffer.getvalue())

    def digest(self, *more: str) -> str:
        """16 hexadecimal digits over names, executable bits, contents, and `more`."""
        sha = hashlib.sha256("\0".join(more).encode() + b"\0")
        sha.update(self.content)
        return sha.hexdigest()[:16]

    def archive(self, extra_ca: bytes) -> io.BytesIO:
        """What the engine is sent: an uncompressed tar file."""
        buffer = io.BytesIO(self.content)
        with tarfile.open(fileobj=buffer, mode="a", format=tarfile.GNU_FORMAT) as tar:
            info = tarfile.TarInfo(EXTRA_CA)
            info.size = len(extra_ca)
            tar.addfile(info, io.BytesIO(extra_ca))
        buffer.seek(0)
        return buffer


def _ignored(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _same_everywhere(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs between checkouts: times, owners, and modes that git does not keep."""
    info.mtime = info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    return info
