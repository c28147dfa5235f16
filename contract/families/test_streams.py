"""Logs and their streams: what is asked for comes, in order, and nobody else's."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from contract.api import Api, member
from contract.exchange import Response
from contract.outcomes import ContractBroken, NotRun
from contract.stream import LogStream, followed
from contract.things import logged, new, new_name

SOURCE = "api"
"""The part of the platform whose log has the requests of clients."""

MANY = 100_000
STREAM_SECONDS = 15
FORBIDDEN = 403
PROVOKE = ("listLanguages", "listShells", "getCluster", "getPools", "getStats")
"""Requests that cost nothing, which the log may be expected to tell of."""

Filters = Mapping[str, str | int]

READS: dict[str, Callable[[Api, Filters], Response]] = {
    "getPaasLogs": lambda api, filters: _asked(api, "getPaasLogs", query=filters),
    "queryPaasLogs": lambda api, filters: _asked(api, "queryPaasLogs", json=filters),
    "getLogs": lambda api, filters: _asked(api, "getLogs", query=filters),
    "getSourceLogs": lambda api, filters: _asked(
        api,
        "getSourceLogs",
        path={"source": str(filters.get("source", "all"))},
        query={name: value for name, value in filters.items() if name != "source"},
    ),
}
"""The dialects in which clients ask for logs."""

STREAMS = ("streamPaasLogs", "streamLogs", "streamSourceLogs")
WRONG: tuple[Filters, ...] = (
    {"since": "soon"},
    {"level": "loud"},
    {"lines": 0},
    {"source": "No Source"},
)


@pytest.mark.parametrize("operation_id", READS)
def test_one_source_comes_as_text_and_all_with_their_names(api: Api, operation_id: str) -> None:
    _prepare(api, operation_id)
    one = READS[operation_id](api, {"source": SOURCE}).json
    assert all(isinstance(line, str) for line in one["lines"])
    assert one["lines"]
    for entry, line in zip(one.get("logs", ()), one["lines"], strict="logs" in one):
        assert entry == {"source": SOURCE, "line": line}
    everything = READS[operation_id](api, {}).json
    assert {SOURCE} <= {entry["source"] for entry in everything["lines"]}
    assert everything.get("count", len(everything["lines"])) == len(everything["lines"])


@pytest.mark.parametrize("operation_id", READS)
def test_lines_that_lack_a_text_are_left_out(api: Api, operation_id: str) -> None:
    _prepare(api, operation_id)
    lines = _lines(api, operation_id)
    text = _word([lines[-1:]], lines)
    found = _lines(api, operation_id, grep=text)
    assert [line for line in found if text not in line] == []
    assert Counter(line for line in lines if text in line) - Counter(found) == Counter()


@pytest.mark.parametrize("operation_id", READS)
def test_no_more_lines_come_than_were_asked_for(api: Api, operation_id: str) -> None:
    _prepare(api, operation_id)
    assert len(_lines(api, operation_id, lines=2)) <= 2
    entries = member(READS[operation_id](api, {"lines": 2}), "lines")
    assert max(Counter(entry["source"] for entry in entries).values()) <= 2


@pytest.mark.parametrize("operation_id", READS)
def test_the_newest_line_is_the_last(api: Api, operation_id: str) -> None:
    """Lines that came in between stand behind those that were there before."""
    _prepare(api, operation_id)
    before = _lines(api, operation_id)
    _provoke(api)
    after = _lines(api, operation_id)
    if before == after:
        raise NotRun("nothing came to this server's log")
    assert any(before[start:] == after[: len(before) - start] for start in range(len(before))), (
        f"{before[-3:]} is not before what came later: {after[:3]} ... {after[-3:]}"
    )


@pytest.mark.parametrize("operation_id", READS)
@pytest.mark.parametrize("filters", [{"level": "debug"}, {"since": "1h"}], ids=["level", "since"])
def test_a_filter_keeps_what_fits_it(api: Api, operation_id: str, filters: Filters) -> None:
    """No line is of less severity than `debug`, and what came just now is no hour old."""
    new = _new(api, operation_id, _provoke)
    if not new:
        raise NotRun("nothing came to this server's log")
    assert new - Counter(_lines(api, operation_id, **filters)) == Counter()


@pytest.mark.parametrize("operation_id", READS)
@pytest.mark.parametrize("filters", [{"level": "error"}, {"since": "1h"}], ids=["level", "since"])
def test_a_filter_adds_no_line(api: Api, operation_id: str, filters: Filters) -> None:
    _prepare(api, operation_id)
    left = Counter(_lines(api, operation_id, **filters))
    assert left - Counter(_lines(api, operation_id)) == Counter()


@pytest.mark.operations("getPaasLogs")
@pytest.mark.parametrize("filters", WRONG, ids=lambda it: next(iter(it)))
def test_a_filter_that_is_none_is_refused(api: Api, filters: Filters) -> None:
    _asked(api, "getPaasLogs", query=filters, expect=400, probe=True)


@pytest.mark.parametrize("operation_id", STREAMS)
def test_a_stream_shows_lines_in_the_order_of_the_log(api: Api, operation_id: str) -> None:
    with _stream(api, operation_id, source=SOURCE) as stream:
        logged = _provoked(api, operation_id)
        shown = _more(stream, len(PROVOKE), logged)
        assert {entry["source"] for entry in shown} == {SOURCE}
        log = iter(_lines(api, "getPaasLogs"))
        missing = [entry["line"] for entry in shown if entry["line"] not in log]
        assert missing == [], "not in the log, or not in this order"


@pytest.mark.parametrize("operation_id", STREAMS)
def test_a_stream_goes_on_until_its_client_goes(api: Api, operation_id: str) -> None:
    with _stream(api, operation_id, source=SOURCE) as stream:
        for _ in range(3):  # in the second one lines may come that were late for the first
            _more(stream, len(PROVOKE), _provoked(api, operation_id))
        assert not stream.ended, f"it ended after {len(stream.lines)} lines"
    with _stream(api, operation_id, source=SOURCE) as another:
        assert _more(another, 1, _provoked(api, operation_id))


@pytest.mark.operations("streamPaasLogs")
def test_a_stream_leaves_out_lines_that_lack_a_text(api: Api) -> None:
    _provoke(api)
    name = "streamPaasLogs"
    idle, first, again = (_new(api, _log_of(name), act) for act in (_nothing, _provoke, _provoke))
    text = _word([first, again], [*first, *idle], absent=idle)
    with _stream(api, name, source=SOURCE, grep=text) as stream:
        _more(stream, 1, _provoked(api, name, grep=text))
        shown = stream.read(MANY, seconds=2)
        assert [entry for entry in shown if text not in entry["line"]] == []


@pytest.mark.operations("getServiceLogs")
def test_a_service_s_log_is_whole_or_as_long_as_was_asked(api: Api) -> None:
    lines = [f"line-{number}" for number in range(1, 6)]
    with new(
        api, "service", bootstrap_content="".join(f"echo {line}\n" for line in lines)
    ) as thing:
        log = logged(thing, lines[-1])
        at = [log.find(line) for line in lines]
        assert at[0] > -1
        assert at == sorted(at), f"not in order: {log}"
        last = thing.call("getServiceLogs", query={"lines": 1}).json
        assert last["log"].strip() == lines[-1]
        assert last.get("logs", last["log"]) == last["log"]
        whole = thing.call("getServiceLogs", query={"lines": 1, "all": "true"}).json["log"]
        assert all(line in whole for line in lines)


@pytest.mark.operations("getServiceLogs")
def test_a_service_s_log_is_its_own(api: Api) -> None:
    one, two = new_name(), new_name()
    with new(api, "service", bootstrap_content=f"echo {one}\n") as first:
        logged(first, one)
        with new(api, "service", bootstrap_content=f"echo {two}\n") as second:
            assert one not in logged(second, two)
            assert two not in logged(first, one)
            first.as_("second").call("getServiceLogs", expect=404)


def _asked(api: Api, operation_id: str, *, expect: int = 200, **request: Any) -> Response:  # noqa: ANN401
    answer = api.call(operation_id, expect=(expect, FORBIDDEN), **request)
    if answer.status == FORBIDDEN:
        raise NotRun(f"{operation_id}: the account is no operator's (403)")
    return answer


def _lines(api: Api, operation_id: str, **filters: str | int) -> list[str]:
    asked = {"source": SOURCE, "lines": MANY, **filters}
    found: list[str] = member(READS[operation_id](api, asked), "lines")
    return found


def _word(
    batches: Sequence[Iterable[str]], lines: Sequence[str], absent: Iterable[str] = ()
) -> str:
    """A word of each batch that some of `lines` lack, and all that are `absent`; raises NotRun."""
    words = [{word for line in batch for word in line.split()} for batch in batches]
    known = [
        word
        for word in set.intersection(*words)
        if any(word not in line for line in lines) and not any(word in line for line in absent)
    ]
    if not known:
        raise NotRun("no word tells lines of this server's log apart")
    # Times and numbers may not come again.
    return min(known, key=lambda it: (any(letter.isdigit() for letter in it), it))


def _log_of(stream: str) -> str:
    return stream.replace("stream", "get")


def _new(api: Api, read: str, act: Callable[[Api], None], **filters: str) -> Counter[str]:
    """What a log has more after something was done."""
    before = Counter(_lines(api, read, **filters))
    act(api)
    return Counter(_lines(api, read, **filters)) - before


def _nothing(_api: Api) -> None:
    """Reading a log may leave a line in it, too."""


def _prepare(api: Api, operation_id: str) -> None:
    """Give the server something to log, for who may read it; to others it would be of no use."""
    READS[operation_id](api, {"lines": 1})
    _provoke(api)


def _provoke(api: Api) -> None:
    """Give the server something to log."""
    for operation in PROVOKE:
        api.call(operation)


def _provoked(api: Api, stream: str, **filters: str) -> int:
    """The same; how many lines more came of it to the log that a stream is of."""
    read = _log_of(stream)
    idle = _new(api, read, _nothing, **filters)
    return (_new(api, read, _provoke, **filters)).total() - idle.total()


@contextmanager
def _stream(api: Api, operation_id: str, **filters: str | int) -> Iterator[LogStream]:
    operation = api.spec.operations[operation_id]
    path = {name: str(filters.pop(name)) for name in operation.path_parameters}
    request = api.signed(operation, path, query=filters)
    with followed(api.wire, request) as stream:
        if isinstance(stream, LogStream):
            yield stream
        elif stream.status == FORBIDDEN:
            raise NotRun(f"{operation_id}: the account is no operator's (403)")
        else:
            told = f"{operation_id}: {stream.status} {stream.text[:300]}"
            raise ContractBroken("status", told)


def _more(stream: LogStream, count: int, logged: int) -> Sequence[dict[str, Any]]:
    """Further lines of a stream, whose log has `logged` more; raises NotRun where that has none."""
    before = len(stream.lines)
    lines = stream.read(before + count, STREAM_SECONDS)[before:]
    if not lines and not stream.ended:
        if logged > 0:
            told = f"{logged} lines came to the log, and in {STREAM_SECONDS} s none to its stream"
            raise ContractBroken("stream", told)
        raise NotRun(f"no line came in {STREAM_SECONDS} s, in spite of requests")
    return lines
