"""Encryption of what is secret at rest: AES-256-GCM under a key kept outside the data directory."""

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from emulator import private_files
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
    with private_files.locked(key_file.parent):
        content = private_files.read(key_file)
        if content is None:
            content = base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n"
            private_files.write(key_file, content)
    return _decode(content, str(key_file))


def _decode(text: str | bytes, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingError(f"{source} must hold the base64 form of {_KEY_BYTES} bytes")
    return key
