"""Servers that take signatures of other times than now, or do not take those of now."""

from contract.mutants.faults.admission import SIGNED, admits, sent, timely, unauthorized
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import on_response, refusing, status
from contract.mutants.traffic import Answer, Call
from contract.signing import WINDOW_SECONDS, signature

_TRIED_SECONDS = 700


def _for_another_time(call: Call) -> bool:
    named = call.credentials
    return named is not None and any(
        signature(named.secret_key, str(at), call.method, call.target, call.body) == sent(call)
        for at in range(int(call.at) - _TRIED_SECONDS, int(call.at) + _TRIED_SECONDS)
    )


def _in_milliseconds(call: Call) -> bool:
    return call.authentic and abs(call.at / 1000 - call.now) <= WINDOW_SECONDS


def _drift_unsaid(call: Call, answer: Answer) -> None:
    if call.authentic and not call.timely:
        answer.document = unauthorized().document


TIMES = (
    admits(
        "time-not-signed",
        "A signature keeps its worth when the time beside it is changed.",
        timely(_for_another_time),
    ),
    admits(
        "past-accepted",
        "A signature never grows old.",
        lambda call: call.authentic and call.at < call.now,
    ),
    admits(
        "future-accepted",
        "A signature may be of any time to come.",
        lambda call: call.authentic and call.at > call.now,
    ),
    admits(
        "window-wide",
        "The clock may be off by an hour.",
        lambda call: call.authentic and abs(call.at - call.now) < 3600,
    ),
    admits("milliseconds-accepted", "The time may be in milliseconds.", _in_milliseconds),
    Mutant(
        "window-narrow",
        "The clock may be off by a minute alone.",
        Kind.TIME,
        "authentication",
        seen_at=SIGNED,
        build=refusing(lambda call: call.authentic and abs(call.at - call.now) > 60, unauthorized),
    ),
    Mutant(
        "drift-unsaid",
        "A clock that is off is answered like a wrong signature.",
        Kind.TIME,
        "authentication",
        seen_at=SIGNED,
        build=on_response(_drift_unsaid, status(401)),
    ),
)
