"""Files through the agent: written and read with the rights of a user, and no link followed."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable
from pathlib import Path

import pytest

from emulator.sandbox.agent import Agent, FileRefused, Tree
from emulator.sandbox.frames import WINDOW
from tests.sandbox.agent_process import GID, UID, running_agent, scenario


def write(agent: Agent, root: Path, path: str, data: bytes = b"x") -> Awaitable[None]:
    return agent.write_file(path, data, uid=UID, gid=GID, root=str(root))


def read(agent: Agent, root: Path, **limits: int) -> Awaitable[Tree]:
    usual = {"max_files": 100, "max_bytes": 1 << 20}
    return agent.read_tree(str(root), uid=UID, gid=GID, **{**usual, **limits})


async def refused(attempt: Awaitable[object]) -> int:
    with pytest.raises(FileRefused) as caught:
        await attempt
    return caught.value.errno


@scenario
async def test_a_file_is_written_with_its_directories(tmp_path: Path) -> None:
    async with running_agent() as agent:
        await agent.write_file(
            "a/b/c.txt", b"content", uid=UID, gid=GID, mode=0o640, root=str(tmp_path / "new")
        )
    made = tmp_path / "new/a/b/c.txt"
    assert made.read_bytes() == b"content"
    assert made.stat().st_mode & 0o7777 == 0o640
    assert made.parent.stat().st_mode & 0o7777 == 0o755


@scenario
async def test_sizes_around_frames_and_windows(tmp_path: Path) -> None:
    sizes = (0, 1, 65_535, 65_536, 65_537, WINDOW, WINDOW + 1, 5_000_000)
    async with running_agent() as agent:
        await asyncio.gather(*(write(agent, tmp_path, str(size), bytes(size)) for size in sizes))
    assert [(tmp_path / str(size)).stat().st_size for size in sizes] == list(sizes)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("exists", errno.EEXIST),
        ("../escape", errno.EINVAL),
        ("a/../../escape", errno.EINVAL),
        ("a/./b", errno.EINVAL),
        ("/etc/escape", errno.EINVAL),
        ("a\0b", errno.EINVAL),
        ("link/escape", errno.ENOTDIR),
        ("file-link", errno.EEXIST),
        ("exists/below", errno.ENOTDIR),
        ("x" * 256, errno.ENAMETOOLONG),
        ("a/" * 64 + "b", errno.ENAMETOOLONG),
    ],
)
@scenario
async def test_a_path_cannot_leave_its_root(tmp_path: Path, path: str, expected: int) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "exists").write_bytes(b"before")
    (root / "link").symlink_to(outside)
    (root / "file-link").symlink_to(outside / "made-through-a-link")
    async with running_agent() as agent:
        assert await refused(write(agent, root, path)) == expected
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "escape").exists()
    assert (root / "exists").read_bytes() == b"before"


@scenario
async def test_a_root_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with running_agent() as agent:
        assert await refused(write(agent, tmp_path / "link", "file")) == errno.ENOTDIR
        assert await refused(read(agent, tmp_path / "link")) == errno.ELOOP


@scenario
async def test_directories_and_links_are_made(tmp_path: Path) -> None:
    owner = {"uid": UID, "gid": GID, "root": str(tmp_path)}
    async with running_agent() as agent:
        with agent.pipeline():
            made = [
                agent.make_directory("a/b", mode=0o700, **owner),  # type: ignore[arg-type]
                agent.make_directory("a/b", **owner),  # type: ignore[arg-type]
                agent.make_symlink("a/link", "../target", **owner),  # type: ignore[arg-type]
            ]
        await asyncio.gather(*made)
        again = agent.make_symlink("a/link", "other", **owner)  # type: ignore[arg-type]
        assert await refused(again) == errno.EEXIST
        over = agent.make_directory("a/link", **owner)  # type: ignore[arg-type]
        assert await refused(over) == errno.EEXIST
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "a/link").readlink() == Path("../target")


@scenario
async def test_an_unfinished_file_is_taken_away(tmp_path: Path) -> None:
    async with running_agent() as agent:
        attempt = asyncio.ensure_future(write(agent, tmp_path, "big", bytes(50_000_000)))
        await agent.ping()
        assert (tmp_path / "big").exists()
    with pytest.raises(Exception, match="closed"):
        await attempt
    assert not (tmp_path / "big").exists()


@scenario
async def test_a_tree_comes_back(tmp_path: Path) -> None:
    files = {"a": b"", "b/c": b"content", "b/d/e": bytes(300_000), "with\nnewline": b"n"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "b/c").chmod(0o751)
    async with running_agent() as agent:
        tree = await read(agent, tmp_path)
    assert {file.path: file.content for file in tree.files} == files
    assert tree.skipped == 0
    assert [file.mode for file in tree.files if file.path == "b/c"] == [0o751]
    assert not any(file.changed for file in tree.files)


@scenario
async def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"regular")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "directory-link").symlink_to("/etc")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        async with running_agent() as agent:
            tree = await read(agent, tmp_path)
            assert await refused(read(agent, tmp_path / "link")) == errno.ELOOP
    assert [file.path for file in tree.files] == ["file"]
    assert tree.skipped == 4


@scenario
async def test_names_that_are_no_utf8_are_shown_with_replacements(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    async with running_agent() as agent:
        tree = await read(agent, tmp_path)
    assert [file.path for file in tree.files] == ["bad\N{REPLACEMENT CHARACTER}"]


@scenario
async def test_reading_has_limits(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(bytes(1000))
    deep = tmp_path / "1d/2d/3d"
    deep.mkdir(parents=True)
    (deep / "deep").write_bytes(b"")
    async with running_agent() as agent:
        few = await read(agent, tmp_path, max_files=5)
        small = await read(agent, tmp_path, max_bytes=2500)
        shallow = await read(agent, tmp_path, max_depth=2)
        flat = await read(agent, tmp_path, max_depth=0)
    assert (len(few.files), few.skipped) == (5, 16)
    assert len(small.files) in (2, 3)
    assert sum(len(file.content) for file in small.files) == 2000
    assert (len(shallow.files), shallow.skipped) == (20, 1)
    assert (len(flat.files), flat.skipped) == (20, 1)


@scenario
async def test_many_files_come_through_a_window(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number:04}").write_bytes(bytes(number % 1000))
    async with running_agent() as agent:
        tree = await read(agent, tmp_path, max_files=5000, max_bytes=1 << 30)
    sizes = {file.path: len(file.content) for file in tree.files}
    assert sizes == {f"{number:04}": number % 1000 for number in range(3000)}


@scenario
async def test_a_single_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"content")
    async with running_agent() as agent:
        (file,) = (await read(agent, tmp_path / "one")).files
        assert (file.path, file.content) == ("", b"content")
        assert await refused(read(agent, tmp_path / "none")) == errno.ENOENT
        assert await refused(read(agent, tmp_path / "one", max_bytes=3)) == errno.EFBIG


@scenario
async def test_a_file_that_is_shorter_than_it_says_keeps_its_place() -> None:
    """Files of /sys say 4,096 bytes and hold fewer, as one that is cut while it is read."""
    async with running_agent() as agent:
        (file,) = (await read(agent, Path("/sys/devices/virtual/net/lo/mtu"))).files
        await agent.ping()
    assert file.changed
    assert len(file.content) == 4096
    assert file.content.rstrip(b"\0") == b"65536\n"
