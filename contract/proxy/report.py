"""The proxy's report for people: one HTML file that needs nothing else."""

from collections.abc import Iterable
from html import escape

from contract.proxy.findings import Level
from contract.proxy.log import Log, Told

__all__ = ["page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem }
td { overflow-wrap: anywhere; border-top: 1px solid #ccc }
.fault, .fail { color: #a40000 } .warning, .warn { color: #8a5a00 } .pass { color: #1a6b1a }
@media (prefers-color-scheme: dark) {
  body { background: #16181b; color: #ddd } th, td { border-color: #444 }
  .fault, .fail { color: #ff8a80 } .warning, .warn { color: #ffcc66 } .pass { color: #8fd18f }
}
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(log: Log, target: str) -> str:
    """Everything that was found, faults first; what came over the wire is escaped."""
    told = sorted(log.groups.values(), key=lambda it: (it.finding.level, -it.count))
    total = sum(log.outcomes.values())
    counts = ", ".join(f"{log.outcomes[name]} {name}" for name in ("fail", "warn", "pass"))
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
        "<meta name=viewport content='width=device-width'><title>SDK report</title>",
        f"<style>{_STYLE}</style><h1>What the SDK sent, and what it got</h1>",
        f"<p>{total} requests to {escape(target)}: {counts}. ",
        "Every request is a line of <code>requests.jsonl</code>.</p>",
        "<h2>To do</h2>" if told else "<p>Nothing was found.</p>",
        _table(("", "times", "operation", "rule", "what", "remedy"), map(_group, told)),
        "<h2>Operations</h2>",
        _table(("operation", "outcomes and statuses"), map(_operation, log.operations.items())),
        f"<h2>The first {len(log.latest)} requests</h2>",
        _table(("", "at", "request", "status", "findings"), map(_line, log.latest)),
    ]
    return log.redactor.text("\n".join(parts)) + "</html>\n"


def _group(told: Told) -> tuple[str, ...]:
    found = told.finding
    level = "fault" if found.level is Level.FAULT else "warning"
    what = f"{found.where}: {found.message}" if found.where else found.message
    byte = "" if found.offset is None else f" (byte {found.offset})"
    rule = f"{found.side}: {found.rule}"
    return (level, str(told.count), told.operation, rule, what + byte, found.remedy)


def _operation(item: tuple[str, dict[str, int]]) -> tuple[str, ...]:
    name, counts = item
    return name, ", ".join(f"{count} x {what}" for what, count in sorted(counts.items()))


def _line(line: dict[str, object]) -> tuple[str, ...]:
    found = line["findings"]
    rules = [str(it["rule"]) for it in found] if isinstance(found, list) else []
    request = f"{line['method']} {line['path']}"
    return str(line["outcome"]), str(line["at"]), request, str(line["status"]), ", ".join(rules)


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(it)}" for it in heads)
    body = "".join(f"<tr>{_cells(row)}" for row in rows)
    return f"<table><tr>{head}{body}</table>"


def _cells(row: tuple[str, ...]) -> str:
    """A row's first cell is a class of the style sheet too."""
    return "".join(f"<td class='{escape(row[0])}'>{escape(it)}" for it in row)
