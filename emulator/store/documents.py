"""Documents as bytes: compact, whatever their texts are made of."""

import zlib

import msgspec

Document = dict[str, object]

_SMALL = 512
"""Bytes; of less, compression costs more time than it saves space."""

_LEVEL = 1
"""The fastest: what programs print at length is mostly alike."""

_ZLIB = b"\x78"
"""How compressed bytes begin, and no map of MessagePack does."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Document).decode


def pack(document: Document) -> bytes:
    """`document` without the escapes of JSON (six bytes for each NUL), compressed if it is long."""
    encoded = _encode(document)
    return encoded if len(encoded) < _SMALL else zlib.compress(encoded, _LEVEL)


def unpack(packed: bytes) -> Document:
    """What was packed."""
    return _decode(zlib.decompress(packed) if packed.startswith(_ZLIB) else packed)
