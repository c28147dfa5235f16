"""`docs/performance.md` and its picture, from the rows of a whole bench."""

from collections.abc import Iterable, Mapping, Sequence

from scripts.bench import chart
from scripts.bench.report import Row, figures, shown

PICTURE = "performance.svg"
HEAD = """\
# Performance

<!-- Written by `make bench ARGS=--write`; do not edit. -->

Figures of one run of `make bench`, which took {minutes} minutes. Everything is compared within that
run, on the machine below: figures of other machines differ, ratios less so.

{facts}

![Programs a second by clients, and milliseconds of a hello program by ways to run it]({picture})

A row reaches its aim, or only its bar, or misses it; rows without marks are there to be seen. What
was measured more than once is told as p50 / p99.

{table}

## What is compared

- **native**: the same commands by fork and exec, from a shell in a plain container of the same
  image, which has no limits.
- **docker exec**, **docker run**: the same program by the engine's own ways, through its API, so
  without the start of a command-line client. Where there is something to compile it is compiled.
- Latencies are taken one at a time, in turn with the other side, while nothing else runs, starts or
  is cleaned.
- `NAME-p50` has a program that was never seen before, `NAME-cached` one that the same key has sent
  before: that is held against running the compiled program.
- `throughput`, `clients-N`, `burst`: the clients are one process with one event loop, on the
  machine that they measure. What it takes of a processor stands in its rows, and is the emulator's
  loss.
- `job`: `GET /jobs/{{id}}` on a kept-alive connection, against a bare Starlette route that answers
  with the same document to anyone.
- `stream`: 200 MB between a program and the emulator, against the engine's attached stream alone.
- `session`, `session-tmux`: from sending `POST /sessions` to the shell's prompt through the
  WebSocket, when one container waits for the next session and nothing starts or is removed. Most of
  what tmux takes more is its own start.
- `echo`, `session-out`, `session-in`: **WebSocket** is bash in a session and a client that does
  next to nothing with what comes; **local terminal** is bash on a terminal of this machine that the
  bench holds itself, without container, agent or emulator. Keys are typed in turn, one at a time,
  and erased. Pasted is in messages of 256 bytes, which the vendor's client sends.
- `freeze`: a tmux session without clients. **The engine alone** pauses and unpauses a plain
  container.
- `sessions-50`: 50 clients of one account create a session each and open its shell, all at once,
  while one container waits. **The engine alone** creates and starts as many plain containers of the
  same image, 8 at a time. `memory-session`: what the kernel charges each container for, with bash
  in it, page cache apart.
- `gateway`, `gateway-p50`: the same small HTTP server, which does next to nothing for a page, in a
  service through the gateway and on this machine's loopback **directly**. Connections of clients
  are kept on both sides; the gateway opens one to the service for each request. `gateway` has the
  clients of one process and 16 connections, `gateway-p50` one connection.
- `wake`: from sending a request to a frozen service to its page. **The engine's unpause alone** is
  of a plain container.
- `services-30`: 30 clients of one account create a service each, which starts that server, and ask
  for its page, all at once. **The engine alone** is as above, with 30 containers.
- The emulator logs every request, and has the settings that people have.
"""


def markdown(rows: Sequence[Row], facts: Mapping[str, str], minutes: int) -> str:
    """The page; `facts` are of the machine."""
    return HEAD.format(
        minutes=minutes,
        facts=_table(("machine", ""), facts.items()),
        picture=PICTURE,
        table=_table(
            ("row", "figure", "value", "bar", "aim", "reached", "measured"), map(_cells, rows)
        ),
    )


def picture(rows: Sequence[Row]) -> str:
    """The SVG of programs a second by clients, and of the ways to run a program."""
    by_name = {row.name: row for row in rows}
    counts = [int(name.removeprefix("clients-")) for name in by_name if name.startswith("clients-")]
    series = {
        name: [by_name[f"clients-{count}"].sample(name).p50 for count in counts]
        for name in ("emulator", "native")
    }
    languages = [
        name.removesuffix("-docker-run") for name in by_name if name.endswith("-docker-run")
    ]
    groups = {language: _ways(by_name, language) for language in languages}
    return chart.page(
        [
            chart.lines("Python hello: programs a second", "clients, native loops", counts, series),
            chart.bars("Hello: milliseconds, p50, logarithmic", "ms", groups),
        ]
    )


def _ways(rows: Mapping[str, Row], language: str) -> dict[str, float]:
    both = rows[f"{language}-p50"]
    return {
        "execute": both.sample("execute").p50,
        "native": both.sample("native").p50,
        "docker exec": rows[f"{language}-docker-exec"].sample("docker exec").p50,
        "docker run": rows[f"{language}-docker-run"].sample("docker run").p50,
    }


def _cells(row: Row) -> tuple[str, ...]:
    marks = [f"{row.bar.limit:g}", f"{row.bar.aim:g}"] if row.bar else ["", ""]
    return (f"`{row.name}`", row.figure, shown(row), *marks, row.verdict, figures(row))


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
