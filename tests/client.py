"""A client that signs as the documentation page says, and knows nothing else of the emulator."""

import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from emulator.accounts import DEFAULT_ACCOUNT, TEST_ACCOUNTS, Account


def test_account(name: str) -> Account:
    """The documented test key whose purpose begins with `name`."""
    return next(account for key, account in TEST_ACCOUNTS.items() if key.startswith(name))


test_account.__test__ = False  # type: ignore[attr-defined]  # no test, in spite of its name


class Client:
    """Sends signed requests to one server as one account."""

    def __init__(self, base: str, account: Account = DEFAULT_ACCOUNT) -> None:
        self.base = base
        self.account = account
        self._http = httpx.Client(base_url=base, timeout=120)

    def close(self) -> None:
        self._http.close()

    def as_account(self, account: Account) -> "Client":
        return Client(self.base, account)

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
        at = str(int(time.time()))
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

    def execute(self, language: str, code: str, **fields: object) -> dict[str, Any]:
        """The answer to an execution that the platform carried out."""
        response = self.post("/execute", {"language": language, "code": code, **fields})
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document
