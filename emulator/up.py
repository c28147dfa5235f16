"""`unsandbox-emulator up`: from nothing to `Ready.`, and a clean end."""

import asyncio
import gc
import resource
import shlex
import signal
import sys
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

from emulator.accounts import DEFAULT_ACCOUNT, Account
from emulator.app import serving_all
from emulator.emulator import Emulator
from emulator.gateway.authority import CERTIFICATE_FILE
from emulator.life import housekeeping, opened, prepare
from emulator.listeners import Addresses, bound
from emulator.settings import Settings
from emulator.terminal import say

DESCRIPTORS = 65_536
"""As many as there may be connections, and theirs to services, many times over."""

THREADS_TURN_SECONDS = 0.0005
"""How long another thread may keep a request waiting; Python's own 5 ms are many requests."""


async def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status."""
    sys.setswitchinterval(THREADS_TURN_SECONDS)
    have_descriptors()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        listeners = stack.enter_context(bound(settings))
        emulator = await stack.enter_async_context(opened(settings))
        await stack.enter_async_context(serving_all(emulator, listeners))
        work = asyncio.create_task(_serve(emulator, listeners.addresses))
        stack.push_async_callback(_end, work)
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not stop.is_set():
            await work  # it only ends by failing
        say("Stopping.")
    return 0


def have_descriptors() -> None:
    """Have as many as this process may: by default connections alone could take them all."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _serve(emulator: Emulator, addresses: Addresses) -> None:
    await prepare(emulator, say)
    await emulator.pool.warmed()
    gc.freeze()  # all that start-up made stays: looking it over each time would take long
    say(_greeting(emulator, addresses))
    await housekeeping(emulator)


async def _end(work: "asyncio.Task[None]") -> None:
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


def _greeting(emulator: Emulator, addresses: Addresses) -> str:
    accounts = emulator.accounts.all()
    lines = [
        "Ready.",
        f"  API    {addresses.api}",
        f"  HTTPS  {addresses.tls}",
        f"         for clients that trust {emulator.settings.ca_dir / CERTIFICATE_FILE}",
        '         to trust it in this shell: eval "$(unsandbox-emulator ca --env)"',
        f"  Services  {service_address(addresses.api)}, of POST /services",
        f"  Admin  {addresses.admin}/_emulator/requests",
    ]
    if accounts:
        account = next((one for one in accounts if one == DEFAULT_ACCOUNT), accounts[0])
        lines += [
            f"  Public key  {account.public_key}",
            f"  Secret key  {_shown_secret(account)}",
            "  More keys: unsandbox-emulator keys list",
            "Try it, from another terminal:",
            signed_curl(addresses.api, account),
        ]
    return "\n".join(lines)


def service_address(api: str) -> str:
    """How the address of a service of this machine looks; `api` is the API's."""
    return f"http://NAME.on.localhost:{urlsplit(api).port}"


def _shown_secret(account: Account) -> str:
    """Only of the documented keys: others' secrets are shown once, when they are made."""
    return account.secret_key if account == DEFAULT_ACCOUNT else "(as shown when it was made)"


def signed_curl(api: str, account: Account) -> str:
    """Shell lines that sign a request with openssl and send it with curl."""
    body = '{"language":"bash","code":"echo $((6 * 7))"}'
    secret = account.secret_key if account == DEFAULT_ACCOUNT else "$UNSANDBOX_SECRET_KEY"
    return f"""\
  B={shlex.quote(body)}; T=$(date +%s)
  S=$(printf %s "$T:POST:/execute:$B" | openssl dgst -sha256 -hmac "{secret}" -r | cut -d' ' -f1)
  curl -s {api}/execute -H 'Content-Type: application/json' -d "$B" \\
    -H 'Authorization: Bearer {account.public_key}' -H "X-Timestamp: $T" -H "X-Signature: $S\""""
