"""A service as its visitors see it: by its URL, which nobody signs."""

from urllib.parse import urlsplit

import httpx

from contract.exchange import Request
from contract.outcomes import ContractBroken, NotRun
from contract.things import Thing, awaited

__all__ = ["page", "script", "shown", "visited"]

PORT = 8080
HERE = ".localhost"
"""Names that end so are this machine, whatever its resolver knows of them (RFC 6761, 6.3)."""

_LOOPBACK = "127.0.0.1"
_SECONDS = 60


def script(text: str) -> str:
    """A bootstrap script: a web server on PORT whose page is a word."""
    return (
        f"mkdir -p site && printf %s {text} > site/index.html\n"
        f"cd site && exec python3 -m http.server {PORT}\n"
    )


def visited(service: Thing) -> httpx.Response:
    """What its page answers, once.

    Raises:
        ContractBroken: nothing answers there.
        NotRun: it lies where this run may not go.
    """
    url = httpx.URL(str(service.document["url"]))
    if url.host.endswith(HERE) and urlsplit(service.api.wire.target.url).hostname != _LOOPBACK:
        raise NotRun(f"{url} is on the server's own machine")
    service.api.wire.admit(Request("GET", url.raw_path.decode("ascii")))
    way = url.copy_with(host=_LOOPBACK) if url.host.endswith(HERE) else url
    headers = {"Host": url.netloc.decode("ascii")}
    try:
        return httpx.get(way, headers=headers, timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise ContractBroken("visit", f"{url}: no answer: {error!r}") from error


def page(service: Thing) -> str:
    """Its page once it has one: a service may still be on its way to its port."""
    return awaited(
        lambda: visited(service), lambda it: it.status_code == httpx.codes.OK, "no page"
    ).text


def shown(service: Thing, text: str) -> bool:
    """Whether its page is a text."""
    found = visited(service)
    return found.status_code == httpx.codes.OK and found.text == text
