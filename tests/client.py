"""A client that signs as the documentation page says, and knows nothing else of the emulator."""

import hashlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from emulator.accounts import DEFAULT_ACCOUNT, TEST_ACCOUNTS, Account


def test_account(name: str) -> Account:
    """The documented test key whose purpose begins with `name`."""
    return next(account for key, account in TEST_ACCOUNTS.items() if key.startswith(name))


test_account.__test__ = False  # type: ignore[attr-defined]  # no test, in spite of its name


class Client:
    """Sends signed requests to one server as one account."""

    def __init__(
        self, base: str, account: Account = DEFAULT_ACCOUNT, verify: ssl.SSLContext | bool = True
    ) -> None:
        self.base = base
        self.account = account
        self.clock: Callable[[], float] = time.time
        self._http = httpx.Client(base_url=base, timeout=120, verify=verify)

    def close(self) -> None:
        self._http.close()

    def as_account(self, account: Account) -> "Client":
        other = Client(self.base, account)
        other.clock = self.clock
        return other

    def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        media_type: str = "application/json",
        **headers: str,
    ) -> httpx.Response:
        """Sign and send these very bytes."""
        signed = {**self.signed(method, path, content), "Content-Type": media_type}
        return self._http.request(method, path, content=content, headers={**signed, **headers})

    def signed(self, method: str, path: str, content: bytes) -> dict[str, str]:
        """The headers that authenticate a request."""
        at = str(int(self.clock()))
        message = f"{at}:{method}:{path}:".encode() + content
        key = self.account.secret_key.encode()
        return {
            "Authorization": f"Bearer {self.account.public_key}",
            "X-Timestamp": at,
            "X-Signature": hmac.new(key, message, hashlib.sha256).hexdigest(),
        }

    def post(self, path: str, body: object) -> httpx.Response:
        return self.send("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> httpx.Response:
        return self.send("GET", path)

    @contextmanager
    def waiting(self, path: str, body: object) -> Iterator[None]:
        """Post, wait for the answer for as long as the block takes, then hang up."""
        address, content = urlsplit(self.base), json.dumps(body).encode()
        headers = {
            "Host": "localhost",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **self.signed("POST", path, content),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with socket.create_connection((str(address.hostname), address.port or 0), 10) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
            yield

    def execute(self, language: str, code: str, **fields: object) -> dict[str, Any]:
        """The answer to an execution that the platform carried out."""
        response = self.post("/execute", {"language": language, "code": code, **fields})
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document
