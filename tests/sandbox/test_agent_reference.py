"""The protocol is written three times: for the agent, for the emulator, and for people."""

import re
from enum import IntEnum

import pytest

from emulator.paths import ROOT
from emulator.sandbox import frames, kinds
from emulator.sandbox.frames import Kind, StreamId, Tag, Type
from emulator.sandbox.messages import Scope

HEADER = (ROOT / "runtimes/agent/src/protocol.h").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/agent.md").read_text(encoding="utf-8")


def in_c(prefix: str) -> dict[str, int]:
    found = re.findall(rf"^    {prefix}_(\w+) = (\d+),$", HEADER, re.MULTILINE)
    return {name: int(value) for name, value in found}


def in_tables() -> dict[str, int]:
    found = re.findall(r"^\| (\d+) \| ([A-Z_]{3,}) \|", PAGE, re.MULTILINE)
    return {name: int(value) for value, name in found}


def in_python(names: type[IntEnum]) -> dict[str, int]:
    return {name.name: name.value for name in names}


@pytest.mark.parametrize(("prefix", "names"), [("FRAME", Type), ("TAG", Tag), ("OPEN", Kind)])
def test_both_sides_number_alike(prefix: str, names: type[IntEnum]) -> None:
    expected = in_python(names)
    assert {name: in_c(prefix).get(name) for name in expected} == expected


def test_the_page_has_every_type_and_field() -> None:
    tables = in_tables()
    both = in_python(Type) | in_python(Tag)
    # SIGNAL is a type and a field; the dictionary keeps the later one.
    assert {name: tables.get(name) for name in both} == both


def test_the_page_has_every_kind() -> None:
    written = {name for name, value in in_python(Kind).items() if f"**{name} ({value})**" in PAGE}
    assert written == set(in_python(Kind))


def test_both_sides_have_the_same_limits() -> None:
    assert f"PROTOCOL_VERSION = {frames.VERSION}," in HEADER
    assert f"PAYLOAD_MAX = {frames.PAYLOAD_MAX}," in HEADER
    assert f"HEADER_SIZE = {frames.HEADER_SIZE}," in HEADER
    assert f"FLAG_MORE = {frames.MORE} " in HEADER
    assert f"OWN_CHANNELS {frames.OWN_CHANNELS:#x}u" in HEADER
    assert frames.OPEN_MAX == 2 * 1024 * 1024
    assert "OPEN_MAX_BYTES = 2 * 1024 * 1024," in HEADER
    relay = (ROOT / "runtimes/agent/src/relay.c").read_text(encoding="utf-8")
    assert f"ACCEPTED_MAX = {kinds.ACCEPTED_MAX}," in relay


@pytest.mark.parametrize(("prefix", "names"), [("STREAM", StreamId), ("SCOPE", Scope)])
def test_streams_and_scopes_are_the_same(prefix: str, names: type[IntEnum]) -> None:
    for name, value in in_python(names).items():
        assert f"{prefix}_{name} = {value}" in HEADER
