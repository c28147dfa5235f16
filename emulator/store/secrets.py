"""Encryption of what is secret at rest: AES-256-GCM under a key kept outside the data directory."""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from emulator.settings import ENV_PREFIX, SettingError

MASTER_KEY_VARIABLE = ENV_PREFIX + "MASTER_KEY"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class SecretBox:
    """Seals and opens short byte strings; `context` binds a box to the row that it stands in."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), context.encode())

    def open(self, box: bytes, context: str) -> str:
        """The sealed text; raises SettingError when the key is not the one that sealed it."""
        nonce, sealed = box[:_NONCE_BYTES], box[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, context.encode()).decode()
        except InvalidTag:
            raise SettingError(
                f"a stored secret of {context} does not open: the key file (or "
                f"{MASTER_KEY_VARIABLE}) is not the one that this data directory was made with"
            ) from None


def load_key(key_file: Path) -> bytes:
    """The master key: from the environment (base64 of 32 bytes), else from `key_file`.

    The file is made on first use, readable by its owner alone.

    Raises:
        SettingError: the key is malformed, or others may read its file.
    """
    text = os.environ.get(MASTER_KEY_VARIABLE)
    if text:
        return _decode(text, MASTER_KEY_VARIABLE)
    try:
        return _read(key_file)
    except FileNotFoundError:
        return _create(key_file)


def _read(key_file: Path) -> bytes:
    with key_file.open(encoding="ascii") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise SettingError(f"{key_file} can be read by others; run: chmod 600 {key_file}")
        return _decode(file.read(), str(key_file))


def _create(key_file: Path) -> bytes:
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = os.urandom(_KEY_BYTES)
    try:
        handle = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was first
        return _read(key_file)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(base64.b64encode(key).decode() + "\n")
    return key


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingError(f"{source} must hold the base64 form of {_KEY_BYTES} bytes")
    return key
