"""Servers that list languages wrongly, or run another one than was asked for."""

from collections.abc import Callable
from typing import Any

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import chained, document, listing, refusing, request_document
from contract.mutants.traffic import Answer, Build, Call

_LIST = ("listLanguages",)
_STARTS = ("execute", "executeAsync")
_DETECTS = ("run", "runAsync")
_RESULTS = ("execute", "run", "getJob", "waitJob")
_TEXTS = ("stdout", "output")


def _fault(name: str, fault: str, operations: tuple[str, ...], kind: Kind, build: Build) -> Mutant:
    return Mutant(name, fault, kind, "languages", operations, build)


def _sent_in(*names: str) -> Callable[[Call], bool]:
    """Whether a call that is signed rightly brings a program in a language, by these names."""

    def sent(call: Call) -> bool:
        body = call.document
        return call.authentic and isinstance(body, dict) and body.get("language") in names

    return sent


def _unavailable(details: str, code: str = "RUNTIME_UNAVAILABLE") -> Callable[[], Answer]:
    return lambda: Answer.error(503, "Runtime unavailable", code, details)


def _answered(ran_in: str, **changes: object) -> Build:
    """Results of programs in a language have other members."""

    def edited(body: Any) -> None:  # noqa: ANN401 - any JSON
        if body.get("language") == ran_in:
            body.update({name: value for name, value in changes.items() if name in body})

    return document(edited)


def _run_as(name: str, other: str, told: str) -> Build:
    """What is sent under a name runs in another language, and is said to have run in its own."""

    def sent(body: Any) -> None:  # noqa: ANN401 - any JSON
        if body.get("language") == name:
            body["language"] = other

    return chained(request_document(sent), _answered(other, language=told))


def _refuses_env(call: Call) -> bool:
    return call.authentic and call.body.startswith(b"#!/usr/bin/env ")


def _without_include(call: Call) -> bool:
    return _sent_in("c")(call) and b"#include" not in call.body


LANGUAGES = (
    _fault(
        "language-unlisted",
        "One of the languages is not listed.",
        _LIST,
        Kind.DATA_LOSS,
        listing("languages", lambda found: found[:-1]),
    ),
    _fault(
        "languages-unlisted",
        "No language is listed.",
        _LIST,
        Kind.DATA_LOSS,
        listing("languages", lambda _found: []),
    ),
    _fault(
        "language-listed-twice",
        "The first language is listed twice.",
        _LIST,
        Kind.SCHEMA,
        listing("languages", lambda found: [*found, found[0]]),
    ),
    _fault(
        "languages-miscounted",
        "count is not the number of languages.",
        _LIST,
        Kind.SCHEMA,
        document(lambda body: body.update(count=body["count"] + 1)),
    ),
    _fault(
        "alias-led-elsewhere",
        "The list leads an alias to another language.",
        _LIST,
        Kind.STATE,
        document(lambda body: body["aliases"].update(js="python")),
    ),
    _fault(
        "alias-run-elsewhere",
        "What is sent under an alias runs in another language.",
        _STARTS,
        Kind.STATE,
        _run_as("node", "bash", "javascript"),
    ),
    _fault(
        "alias-told",
        "A program that was sent under an alias is said to be in the alias.",
        ("execute",),
        Kind.SCHEMA,
        _answered("python", language="py"),
    ),
    _fault(
        "alias-refused",
        "An alias is listed, and refused.",
        _STARTS,
        Kind.STATUS,
        refusing(_sent_in("sh"), lambda: Answer.error(400, "Bad request", "UNKNOWN_LANGUAGE")),
    ),
    _fault(
        "listed-language-refused",
        "A language is listed, and refused.",
        _STARTS,
        Kind.STATUS,
        refusing(_sent_in("c"), lambda: Answer.error(400, "Bad request", "UNKNOWN_LANGUAGE")),
    ),
    _fault(
        "language-run-as-another",
        "Programs in one language run in another, and are said to have run in their own.",
        _STARTS,
        Kind.STATE,
        _run_as("javascript", "python", "javascript"),
    ),
    _fault(
        "language-without-output",
        "What programs in one language print is lost.",
        _RESULTS,
        Kind.DATA_LOSS,
        _answered("c", **dict.fromkeys(_TEXTS, "")),
    ),
    _fault(
        "line-refused",
        "C without an include, as the documentation has it, does not compile.",
        _STARTS,
        Kind.STATUS,
        refusing(_without_include, lambda: Answer.error(400, "Bad request", "BAD_REQUEST")),
    ),
    _fault(
        "unavailable-without-reason",
        "A language cannot run, and nothing says why.",
        _STARTS,
        Kind.STATUS,
        refusing(_sent_in("c"), _unavailable("")),
    ),
    _fault(
        "unavailable-by-another-code",
        "A language cannot run, and its code says that there is no capacity.",
        _STARTS,
        Kind.STATUS,
        refusing(_sent_in("c"), _unavailable("No container became free in time", "NO_CAPACITY")),
    ),
    _fault(
        "every-language-unavailable",
        "Not one of the languages runs.",
        _STARTS,
        Kind.STATE,
        refusing(lambda call: call.authentic, _unavailable("language: it is not installed")),
    ),
    _fault(
        "language-undetected",
        "Whatever is run is said to be bash.",
        _DETECTS,
        Kind.STATE,
        document(lambda body: body.update(language="bash", detected_language="bash")),
    ),
    _fault(
        "language-detected-as-another",
        "A program is said to have been found in another language than it ran in.",
        _DETECTS,
        Kind.STATE,
        document(lambda body: body.update(detected_language="typescript")),
    ),
    _fault(
        "shebang-of-env-unknown",
        "A shebang is not understood that names its interpreter by env.",
        _DETECTS,
        Kind.STATUS,
        refusing(_refuses_env, lambda: Answer.error(400, "Bad request", "BAD_REQUEST")),
    ),
)
