"""Servers that mistake the logs of the platform and their streams."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from contract.mutants.faults.resources import (
    fault,
)
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    chained,
    document,
    on_request,
    on_response,
    stream,
)
from contract.mutants.traffic import Answer, Build, Call, replaced

_KEEPALIVE = b"data: :keepalive\n\n"


async def _joined(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The blank lines that end events are lost."""
    async for chunk in chunks:
        yield chunk.replace(b"\n\n", b"\n")


async def _renamed(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.replace(b"data: {", b"data: line={")


async def _doubled(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk * 2


async def _first_only(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
        return


async def _silent(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for _ in chunks:
        yield _KEEPALIVE


async def _falling_silent(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    shown = False
    async for chunk in chunks:
        yield _KEEPALIVE if shown else chunk
        shown = shown or b"{" in chunk


def _silent_when_asked_for_a_text(call: Call, answer: Answer) -> None:
    if answer.chunks is not None and "grep=" in call.target:
        answer.chunks = _silent(answer.chunks)


def _without_text_asked_for(call: Call) -> dict[str, str]:
    pairs = call.target.partition("?")[2].split("&")
    kept = [pair for pair in pairs if not pair.startswith("grep=")]
    return {} if kept == pairs else {"target": f"{call.path}?{'&'.join(kept)}"}


def _ending_alike(body: Any) -> None:  # noqa: ANN401 - any JSON
    """The lines of one source, which are text."""
    if all(isinstance(line, str) for line in body["lines"]):
        body["lines"] = [f"{line} and done." for line in body["lines"]]
        body.pop("logs", None)


def _emptied(parameter: str) -> Callable[[Call, Answer], None]:
    """Where the query has this parameter, no line comes."""

    def edit(call: Call, answer: Answer) -> None:
        if f"{parameter}=" in call.target:
            answer.document = {"lines": []}

    return edit


def _stream_as_json(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="application/json")


def _log(
    name: str, sentence: str, operation: str, build: Build, kind: Kind = Kind.STREAMS
) -> Mutant:
    return fault(name, sentence, (operation,), build, kind, "streams")


LOGS = (
    _log(
        "stream-as-json",
        "The stream of log lines says that it is JSON.",
        "streamPaasLogs",
        on_response(_stream_as_json),
        Kind.SCHEMA,
    ),
    _log(
        "stream-events-joined",
        "Events of the stream do not end.",
        "streamPaasLogs",
        stream(_joined),
    ),
    _log(
        "stream-lines-as-text",
        "Lines of the stream are no JSON.",
        "streamPaasLogs",
        stream(_renamed),
        Kind.SCHEMA,
    ),
    _log(
        "stream-lines-twice", "Lines of the stream come twice.", "streamPaasLogs", stream(_doubled)
    ),
    _log(
        "stream-ends-early",
        "The stream ends after its first event.",
        "streamPaasLogs",
        stream(_first_only),
        Kind.DATA_LOSS,
    ),
    _log(
        "stream-silent",
        "No line comes through the stream, which stays open.",
        "streamPaasLogs",
        stream(_silent),
        Kind.DATA_LOSS,
    ),
    _log(
        "stream-falls-silent",
        "No line comes through the stream after the first ones, though it stays open.",
        "streamPaasLogs",
        stream(_falling_silent),
        Kind.DATA_LOSS,
    ),
    _log(
        "stream-finds-nothing",
        "A stream of the lines with a text shows none.",
        "streamPaasLogs",
        on_response(_silent_when_asked_for_a_text),
        Kind.DATA_LOSS,
    ),
    _log(
        "log-text-overlooked",
        "The log is shown whole where lines with a text are asked for, and all lines end alike.",
        "getPaasLogs",
        chained(on_request(_without_text_asked_for), document(_ending_alike)),
    ),
    _log(
        "log-young-lost",
        "No line is younger than what is asked for.",
        "getPaasLogs",
        on_response(_emptied("since")),
        Kind.DATA_LOSS,
    ),
    _log(
        "log-level-empty",
        "No line is of any level.",
        "getPaasLogs",
        on_response(_emptied("level")),
        Kind.DATA_LOSS,
    ),
    _log(
        "log-lines-lost",
        "The platform's log has no lines.",
        "getPaasLogs",
        document(lambda body: body.pop("lines", None)),
        Kind.SCHEMA,
    ),
)
