"""The codec: what is encoded comes back, however the stream is cut and whatever is between."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.sandbox import frames
from emulator.sandbox.frames import (
    FRAME_MAX,
    PAYLOAD_MAX,
    Decoder,
    Demultiplexer,
    Fields,
    Frame,
    FrameError,
    Tag,
)

small = st.integers(0, 255)
words = st.integers(0, 2**32 - 1)
some_frames = st.lists(
    st.builds(Frame, small, small, words, words, st.binary(max_size=200)), max_size=8
)


def encoded(frame: Frame) -> bytes:
    return frames.encode(frame.type, frame.channel, frame.epoch, frame.payload, frame.flags)


def in_pieces(data: bytes, seed: int) -> list[bytes]:
    cut = random.Random(seed)  # noqa: S311 - repeatable
    pieces = []
    while data:
        size = cut.choice((1, 2, 19, 20, 21, 100))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def test_a_frame_is_as_documented() -> None:
    header = b"UB\x04\x01" + b"\x02\0\0\0" + b"\x03\0\0\0" + b"\x05\0\0\0"
    checksum = zlib.crc32(header + b"hello").to_bytes(4, "little")
    assert frames.encode(4, 2, 3, b"hello", 1) == header + checksum + b"hello"


@given(some_frames, st.integers())
def test_frames_come_back_however_they_are_cut(sent: list[Frame], seed: int) -> None:
    decoder = Decoder(garbage_max=0, mismatches_max=0)
    stream = b"".join(encoded(frame) + bytes(seed % 7) for frame in sent)
    assert [frame for piece in in_pieces(stream, seed) for frame in decoder.feed(piece)] == sent


@given(st.binary(max_size=2000), some_frames)
def test_frames_are_found_after_anything(garbage: bytes, sent: list[Frame]) -> None:
    """Padding completes whatever frame the garbage seemed to begin."""
    decoder = Decoder()
    stream = garbage + frames.PADDING + b"".join(map(encoded, sent))
    found = [frame for piece in (garbage, stream[len(garbage) :]) for frame in decoder.feed(piece)]
    assert found[len(found) - len(sent) :] == sent


@given(st.integers(0, 24), st.integers(1, 255))
def test_a_damaged_byte_costs_one_frame(at: int, flip: int) -> None:
    damaged = bytearray(frames.encode(4, 1, 2, b"hello"))
    damaged[at] ^= flip
    after = Frame(5, 0, 6, 7, b"after")
    found = Decoder().feed(bytes(damaged) + frames.PADDING + encoded(after))
    assert found == [after]


def test_the_largest_frame_passes() -> None:
    payload = random.Random(1).randbytes(PAYLOAD_MAX)  # noqa: S311 - repeatable
    (frame,) = Decoder().feed(frames.encode(4, 1, 2, payload))
    assert frame.payload == payload


def test_garbage_is_bounded() -> None:
    decoder = Decoder(garbage_max=100)
    decoder.feed(b"x" * 100)
    with pytest.raises(FrameError):
        decoder.feed(b"x")


def test_wrong_checksums_are_bounded() -> None:
    forged = b"UB\x04\x00" + bytes(8) + b"\x00\x00\x00\x00" + b"\xff" * 4
    decoder = Decoder(mismatches_max=10)
    decoder.feed(forged * 10)
    with pytest.raises(FrameError):
        decoder.feed(forged)


def test_padding_is_no_garbage() -> None:
    decoder = Decoder(garbage_max=0)
    assert decoder.feed(frames.PADDING * 3) == []
    assert decoder.garbage == 0


def test_a_forgotten_past_is_not_counted_again() -> None:
    decoder = Decoder(garbage_max=100)
    decoder.feed(b"x" * 100)
    decoder.forgive()
    assert decoder.feed(b"x" * 100) == []


@given(st.lists(st.binary(max_size=FRAME_MAX), max_size=6))
def test_nothing_more_than_a_frame_is_kept(pieces: list[bytes]) -> None:
    decoder = Decoder(garbage_max=1 << 30, mismatches_max=1 << 30)
    for piece in pieces:
        decoder.feed(piece)
        assert len(decoder._buffer) <= FRAME_MAX


@given(st.lists(st.tuples(small, st.binary(max_size=50)), max_size=10))
def test_fields_come_back(sent: list[tuple[int, bytes]]) -> None:
    payload = b"".join(frames.field(tag, value) for tag, value in sent)
    assert list(frames.fields(payload)) == sent


@given(st.binary(max_size=300))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        found = Fields(payload)
        for tag in Tag:
            found.text(tag)
            found.number(tag)
    except FrameError:
        return
    assert found.all(Tag.UID) == [value for tag, value in frames.fields(payload) if tag == Tag.UID]


def test_fields_are_read_as_what_they_should_be() -> None:
    found = Fields(
        frames.number(Tag.UID, 7) + frames.text(Tag.TEXT, "é") + frames.text(Tag.ARG, "")
    )
    assert (found.number(Tag.UID), found.number(Tag.GID)) == (7, 0)
    assert (found.text(Tag.TEXT), found.text(Tag.PATH)) == ("é", "")
    with pytest.raises(FrameError):
        found.number(Tag.ARG)
    with pytest.raises(FrameError):
        found.one(Tag.GID)


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=90)), max_size=9), st.integers())
def test_dockers_framing_is_taken_off(pieces: list[tuple[int, bytes]], seed: int) -> None:
    heard: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}
    demultiplexer = Demultiplexer(heard[True].extend, heard[False].extend)
    stream = b"".join(
        bytes((number, 0, 0, 0)) + len(data).to_bytes(4, "big") + data for number, data in pieces
    )
    for piece in in_pieces(stream, seed):
        demultiplexer.feed(piece)
    for stdout in (True, False):
        said = b"".join(data for number, data in pieces if (number == 1) == stdout)
        assert bytes(heard[stdout]) == said


@pytest.mark.parametrize(
    "header", [b"\3\0\0\0\0\0\0\1", b"\1\0\1\0\0\0\0\1", b"\1\0\0\0\xff\0\0\0", b"line 5\r\n"]
)
def test_framing_that_is_out_of_step_is_noticed(header: bytes) -> None:
    demultiplexer = Demultiplexer(lambda _: None, lambda _: None)
    with pytest.raises(FrameError):
        demultiplexer.feed(header + b"x")
