"""What a target says of its languages, and what comes of programs in them."""

from collections.abc import Collection, Mapping
from typing import Any

from contract.api import member
from contract.campaign import Campaign
from contract.creation import ENDED
from contract.exchange import Response
from contract.execution import EXECUTIONS, Result, outcome, watched
from contract.languages import CHEAP, LANGUAGES, Language
from contract.outcomes import ContractBroken, NotRun, Rehearsed, Unavailable
from contract.programs import Program

__all__ = ["Languages"]

Silence = NotRun | Unavailable

_OK, _UNAVAILABLE = 200, 503
_RUNTIME_UNAVAILABLE = "RUNTIME_UNAVAILABLE"
_CHEAP_TTL, _TTL = 20, 60
"""Seconds, which are what a program costs at most: compilers may be slow to start."""


class Languages:
    """The languages of one target, each asked for what it can no more often than needed.

    `asked` are those that the run is about, None leaves that to its effort; `patience` is how many
    seconds one may take to be made ready. `ran` are those that a program ran in.
    """

    def __init__(self, campaign: Campaign, asked: Collection[str] | None, patience: float) -> None:
        self._api = campaign.api
        self._effort = campaign.effort
        self._real = campaign.target.real
        self._asked = asked
        self._patience = patience
        self._ready = set[str]()
        self._told: Mapping[str, Any] | None = None
        self._silent = dict[str, Silence]()
        self.ran = set[str]()

    @property
    def listed(self) -> frozenset[str]:
        return frozenset(self._list["languages"])

    @property
    def aliases(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._list["aliases"]
        return found

    @property
    def taken(self) -> list[str]:
        """The listed languages that this run is about, those that are cheap first."""
        found = [name for name in self.listed if not self._left_out(name, slow=False)]
        return sorted(found, key=lambda it: (it not in CHEAP, it))

    def chosen(self, name: str, *, slow: bool = False) -> Language:
        """A language that programs are to be sent in; `slow` is said of what a full run alone does.

        Raises:
            NotRun: this run leaves it out, the target does not list it, or it was not ready before.
            Unavailable: the target said so before.
        """
        reason = self._left_out(name, slow=slow)
        if reason:
            raise NotRun(reason)
        if name not in LANGUAGES:
            raise NotRun(f"the suite has no program in {name}")
        if name not in self.listed:
            raise NotRun(f"{name} is not listed, which another check tells")
        if name in self._silent:
            raise self._silent[name]
        return LANGUAGES[name]

    def run(
        self, operation_id: str, language: Language, program: Program, **fields: object
    ) -> tuple[Response, Result]:
        """What an operation answers at once, and the result of a program.

        Raises:
            Unavailable: the target says that it cannot run the language, and why.
            NotRun: it was not ready in time.
            ContractBroken: it does anything else that is wrong.
        """
        self._make_ready(language)
        accepted = self._accepted(operation_id, language, program, fields)
        result = outcome(self._api, accepted)
        self.ran.add(language.name)
        return accepted, result

    @property
    def _list(self) -> Mapping[str, Any]:
        """What the target lists; a dry run asks once, and goes on with all that there are."""
        if self._told is None:
            try:
                answer = self._api.call("listLanguages")
            except Rehearsed:
                self._told = {"languages": list(LANGUAGES), "aliases": {}}
                raise
            self._told = {name: member(answer, name) for name in ("languages", "aliases")}
        return self._told

    def _left_out(self, name: str, *, slow: bool) -> str:
        """Why this run takes nothing in a language; empty when it does."""
        if self._asked is not None:
            return "" if name in self._asked else "other languages were asked for (--languages)"
        if name in CHEAP or (self._effort.slow if slow else self._effort.broad):
            return ""
        return "this run takes languages that are cheap alone (--languages asks for others)"

    def _make_ready(self, language: Language) -> None:
        """Have a job wait for what happens at the first use: no other request is given that long.

        A real service is ready: it gets no more requests than those that count.
        """
        if self._real or language.name in self._ready:
            return
        program = Program(language.name, language.greeting)
        accepted = self._accepted("executeAsync", language, program, {"env": {"WHO": ""}})
        job_id = str(member(accepted, "job_id"))
        *_, job = watched(self._api, job_id, ENDED, self._patience)
        if job["status"] not in ENDED:
            self._api.call("cancelJob", {"id": job_id}, expect=(200, 404, 409))
            told = job.get("message", job["status"])
            late = NotRun(f"{language.name} was not ready after {self._patience:g} s: {told}")
            raise self._remembered(language, late)
        self._ready.add(language.name)

    def _accepted(
        self, operation_id: str, language: Language, program: Program, fields: Result
    ) -> Response:
        whole = {"ttl": _CHEAP_TTL if language.name in CHEAP else _TTL, **fields}
        execution = EXECUTIONS[operation_id]
        answer = execution(self._api, operation_id, program, whole, (_OK, _UNAVAILABLE))
        if answer.status == _OK:
            return answer
        raise self._remembered(language, Unavailable(language.name, _reason(answer)))

    def _remembered(self, language: Language, error: Silence) -> Silence:
        self._silent[language.name] = error
        return error


def _reason(answer: Response) -> str:
    """Why a language cannot run; raises ContractBroken for a 503 that does not say it."""
    error, code, details = (str(member(answer, it)) for it in ("error", "code", "details"))
    if code != _RUNTIME_UNAVAILABLE:
        told = f"503 {code} was answered where {_RUNTIME_UNAVAILABLE} can be: {details}"
        raise ContractBroken("status", told)
    if details.strip() in ("", error):
        raise ContractBroken("result", "a language is unavailable, and no details say why")
    return details
