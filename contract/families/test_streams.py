"""Logs and their streams: what is asked for comes, in order, and nobody else's."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    _provoked(api, operation_id)
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
    _provoked(api, operation_id)
    text = _lines(api, operation_id)[-1][-8:]
    found = _lines(api, operation_id, grep=text)
    assert found
    assert [line for line in found if text not in line] == []


@pytest.mark.parametrize("operation_id", READS)
def test_no_more_lines_come_than_were_asked_for(api: Api, operation_id: str) -> None:
    _provoked(api, operation_id)
    assert len(_lines(api, operation_id, lines=2)) <= 2
    entries = member(READS[operation_id](api, {"lines": 2}), "lines")
    assert max(Counter(entry["source"] for entry in entries).values()) <= 2


@pytest.mark.parametrize("operation_id", READS)
def test_the_newest_line_is_the_last(api: Api, operation_id: str) -> None:
    """Lines that came in between stand behind those that were there before."""
    _provoked(api, operation_id)
    before = _lines(api, operation_id)
    _provoke(api)
    after = _lines(api, operation_id)
    if before == after:
        raise NotRun("nothing came to this server's log")
    assert any(before[start:] == after[: len(before) - start] for start in range(len(before))), (
        f"{before[-3:]} is not before what came later: {after[:3]} ... {after[-3:]}"
    )


@pytest.mark.parametrize("operation_id", READS)
@pytest.mark.parametrize("filters", [{"level": "error"}, {"since": "1h"}], ids=["level", "since"])
def test_a_filter_adds_no_line(api: Api, operation_id: str, filters: Filters) -> None:
    _provoked(api, operation_id)
    left = Counter(_lines(api, operation_id, **filters))
    assert left - Counter(_lines(api, operation_id)) == Counter()


@pytest.mark.operations("getPaasLogs")
@pytest.mark.parametrize("filters", WRONG, ids=lambda it: next(iter(it)))
def test_a_filter_that_is_none_is_refused(api: Api, filters: Filters) -> None:
    _asked(api, "getPaasLogs", query=filters, expect=400, probe=True)


@pytest.mark.parametrize("operation_id", STREAMS)
def test_a_stream_shows_lines_in_the_order_of_the_log(api: Api, operation_id: str) -> None:
    with _stream(api, operation_id, source=SOURCE) as stream:
        _provoke(api)
        shown = _some(stream, len(PROVOKE))
        assert {entry["source"] for entry in shown} == {SOURCE}
        log = iter(_lines(api, "getPaasLogs"))
        missing = [entry["line"] for entry in shown if entry["line"] not in log]
        assert missing == [], "not in the log, or not in this order"


@pytest.mark.parametrize("operation_id", STREAMS)
def test_a_stream_goes_on_until_its_client_goes(api: Api, operation_id: str) -> None:
    with _stream(api, operation_id, source=SOURCE) as stream:
        for _ in range(2):
            _provoke(api)
            seen = len(_some(stream, len(stream.lines) + 1))
        assert not stream.ended, f"it ended after {seen} lines"
    with _stream(api, operation_id, source=SOURCE) as another:
        _provoke(api)
        assert _some(another, 1)


@pytest.mark.operations("streamPaasLogs")
def test_a_stream_leaves_out_lines_that_lack_a_text(api: Api) -> None:
    with _stream(api, "streamPaasLogs", source=SOURCE) as whole:
        _provoke(api)
        words = [entry["line"] for entry in _some(whole, len(PROVOKE))]
    text = next((word for word in words[0].split() if word not in words[-1]), "")
    if not text:
        raise NotRun("all lines of this server's log are alike")
    with _stream(api, "streamPaasLogs", source=SOURCE, grep=text) as stream:
        _provoke(api)
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


def _provoked(api: Api, operation_id: str) -> None:
    """The same for who may read the log; to others it would be of no use."""
    READS[operation_id](api, {"lines": 1})
    _provoke(api)


def _provoke(api: Api) -> None:
    """Give the server something to log."""
    for operation in PROVOKE:
        api.call(operation)


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


def _some(stream: LogStream, count: int) -> Sequence[dict[str, Any]]:
    """Lines of a stream; raises NotRun where requests leave none in the log."""
    lines = stream.read(count, STREAM_SECONDS)
    if not lines and not stream.ended:
        raise NotRun(f"no line came in {STREAM_SECONDS} s, in spite of requests")
    return lines
