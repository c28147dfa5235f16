"""What the gateway itself answers: a page for people, the API's error envelope for programs.

Nothing that a client sent stands in either.
"""

from dataclasses import dataclass
from html import escape
from http import HTTPStatus

import msgspec

from emulator.errors import ApiError, ServiceStarting

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{refresh}<title>{title}</title>
<style>
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; color: #1c2733;
  background: #f3f5f7; font: 1.05rem/1.5 system-ui, sans-serif }}
main {{ max-width: 30rem; margin: 1rem; padding: 2rem 2.5rem; background: #fff;
  border: 1px solid #d8dee4; border-radius: .6rem }}
h1 {{ margin: 0 0 .5rem; font-size: 1.5rem }}
p {{ margin: 0 }}
small {{ display: block; margin-top: 1.5rem; color: #66727f }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #dde3e9; background: #12171c }}
  main {{ background: #1a2128; border-color: #303a44 }}
  small {{ color: #95a1ad }}
}}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
<small>{status} {phrase} &middot; unsandbox emulator</small>
</main>
</body>
</html>
"""
_REFRESH = '<meta http-equiv="refresh" content="{seconds}">\n'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Page:
    """A whole answer; the headers lack what concerns the connection."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def accepts_page(accept: str) -> bool:
    """Whether who asked shows pages: browsers say so, other programs do not."""
    return "text/html" in accept.lower()


def wants_json(accept: str) -> bool:
    """Whether who asked is a program that says so."""
    return "application/json" in accept.lower() and not accepts_page(accept)


def page(error: ApiError, *, as_html: bool) -> Page:
    """The answer to a request that no service answers."""
    body = _html(error) if as_html else msgspec.json.encode(error.body())
    headers = [
        ("Content-Type", "text/html; charset=utf-8" if as_html else "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        *error.headers.items(),
    ]
    if as_html:
        headers.append(("Content-Security-Policy", _POLICY))
    return Page(error.status, headers, body)


def last_words(error: ApiError) -> bytes:
    """The answer as bytes, for a connection that ends with it."""
    answer = page(error, as_html=False)
    lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + answer.body


def phrase(status: int) -> str:
    """The words of a status."""
    return HTTPStatus(status).phrase


def _html(error: ApiError) -> bytes:
    again = error.headers.get("Retry-After") if isinstance(error, ServiceStarting) else None
    return _PAGE.format(
        refresh=_REFRESH.format(seconds=escape(again)) if again else "",
        title=escape(error.error),
        text=escape(error.details),
        status=error.status,
        phrase=escape(phrase(error.status)),
    ).encode()
