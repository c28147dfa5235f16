"""Documents as bytes: compact, whatever their texts are made of."""

import zlib

import msgspec

Document = dict[str, object]

_LEVEL = 1
"""The fastest: what programs print at length is mostly alike."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Document).decode


def pack(document: Document) -> bytes:
    """`document` without the escapes of JSON (six bytes for each NUL), and compressed."""
    return zlib.compress(_encode(document), _LEVEL)


def unpack(packed: bytes) -> Document:
    """What was packed."""
    return _decode(zlib.decompress(packed))
