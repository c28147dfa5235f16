"""Servers that do not keep limits or do not tell of them; faults that an emulator has itself."""

from contract.exchange import header
from contract.mutants.faults.admission import served_as_main
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import always, on_response, refusing, status
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed, replaced

_MIB = 1024 * 1024
_RUNS = ("execute", "executeAsync", "run", "runAsync")
_JOBS = ("getJob", "waitJob", "cancelJob")
"""What is asked about jobs, which belong to the account that they were started as."""

_OF_SESSIONS = (
    *("createSession", "getSession", "deleteSession", "unlockSession", "boostSession"),
    *("freezeSession", "unfreezeSession"),
)

_OF_SERVICES = (
    *("createService", "getService", "deleteService", "unlockService"),
    *("freezeService", "unfreezeService", "wakeService"),
)

_PAID = (
    *("listSessions", "createSession", "listServices", "createService", "listSnapshots"),
    *("createSnapshot", "listImages", "publishImage"),
)
"""What the free tier lacks."""


def _header(when_limited: bool = False, **values: str | None) -> Build:
    def edit(_call: Call, answer: Answer) -> None:
        answer.headers = replaced(answer.headers, **values)

    return on_response(edit, status(429) if when_limited else always)


def _only_set(name: str, value: str) -> Build:
    """Where the header comes, it has this value."""

    def edit(_call: Call, answer: Answer) -> None:
        if any(found.lower() == name for found, _ in answer.headers):
            answer.headers = replaced(answer.headers, **{name: value})

    return on_response(edit, always)


def _first_alone(_call: Call, answer: Answer) -> None:
    limit = header(answer.headers, "x-ratelimit-limit")
    if limit is not None and answer.status != 429:
        answer.headers = replaced(answer.headers, x_ratelimit_remaining=str(int(limit) - 1))


def _for_all_keys() -> Mutator:
    """Once one key has met its limit, all have."""
    met = list[Answer]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if met and call.authentic:
            return Answer(429, list(met[0].headers), met[0].body)
        answer = await proceed(call)
        if answer.status == 429:
            met.append(answer)
        return answer

    return mutator


def _slots_for_all_keys() -> Mutator:
    """The account `slot` takes its slot by a job, until it cancels that or sees its end."""
    taken = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        name = call.operation.id if call.operation else ""
        if taken and name == "execute" and call.role != "slot" and call.authentic:
            return Answer.error(429, "concurrency_limit_reached", "CONCURRENCY_LIMIT")
        answer = await proceed(call)
        if call.role == "slot" and answer.succeeded:
            if name == "executeAsync":
                taken.add(answer.document["job_id"])
            elif name in ("cancelJob", "waitJob"):
                taken.difference_update(call.segments)
        return answer

    return mutator


def _frozen_with_slot(freeze: str) -> Build:
    """While the account `slot` has something frozen by this operation, it has no slot."""

    def build() -> Mutator:
        frozen = set[str]()

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            name = call.operation.id if call.operation else ""
            if frozen and name == "createSession" and call.role == "slot":
                return Answer.error(429, "concurrency_limit_reached", "CONCURRENCY_LIMIT")
            answer = await proceed(call)
            if name == freeze and answer.succeeded:
                frozen.add(call.segments[1])
            elif call.method != "GET":
                frozen.difference_update(call.segments[1:2])
            return answer

        return mutator

    return build


def _despite_limit(**members: object) -> Build:
    """What is refused for want of slots is answered as if it were done."""

    def edit(call: Call, answer: Answer) -> None:
        kind, name = call.segments[0].removesuffix("s"), call.segments[1]
        answer.status = 200
        answer.document = {f"{kind}_id": name, **members}

    return on_response(edit, status(429))


def _too_large_as_bad(_call: Call, answer: Answer) -> None:
    answer.status = 400


def _limit(name: str, fault: str, build: Build, *operations: str) -> Mutant:
    return Mutant(name, fault, Kind.LIMITS, "limits", operations, build)


LIMITS = (
    _limit(
        "no-rate-headers",
        "Answers do not tell the rate limit.",
        _header(x_ratelimit_limit=None, x_ratelimit_remaining=None, x_ratelimit_reset=None),
    ),
    _limit(
        "remaining-constant",
        "However much is asked, as much remains.",
        _only_set("x-ratelimit-remaining", "59"),
    ),
    _limit(
        "counted-once",
        "The first request alone is counted, until the last one is refused.",
        on_response(_first_alone, always),
    ),
    _limit(
        "reset-in-1970", "The limit is whole again since 1970.", _only_set("x-ratelimit-reset", "0")
    ),
    _limit(
        "limit-of-another",
        "Every key is told the same limit.",
        _only_set("x-ratelimit-limit", "1000000"),
    ),
    _limit(
        "no-retry-after", "A 429 does not say when to come again.", _header(True, retry_after=None)
    ),
    Mutant(
        "retry-too-soon",
        "A 429 says to come again in a second, whenever that would help.",
        Kind.LIMITS,
        "limits",
        ("listJobs",),
        _header(True, retry_after="1"),
        thorough=True,
    ),
    _limit("rate-unlimited", "A key may ask as often as it likes.", served_as_main("rate")),
    _limit("rate-for-all-keys", "One key's limit is met by all.", _for_all_keys),
    _limit(
        "slots-unlimited",
        "A key may run as many programs as it likes.",
        served_as_main("slot"),
        *(*_RUNS, *_JOBS),
    ),
    Mutant(
        "slots-for-all-keys",
        "Once one key has its slot taken, all have.",
        Kind.LIMITS,
        "limits",
        ("execute",),
        _slots_for_all_keys,
        sees_all=True,
    ),
    _limit(
        "session-slots-unlimited",
        "A key may have as many sessions as it likes.",
        served_as_main("slot"),
        *_OF_SESSIONS,
    ),
    _limit(
        "session-boost-unlimited",
        "A session is boosted whether slots are free or not.",
        _despite_limit(vcpu=2),
        "boostSession",
    ),
    _limit(
        "session-frozen-with-slot",
        "A frozen session keeps its slot.",
        _frozen_with_slot("freezeSession"),
        *("createSession", "freezeSession", "unfreezeSession", "deleteSession"),
    ),
    _limit(
        "session-unfrozen-without-slot",
        "A session is unfrozen whether a slot is free or not.",
        _despite_limit(status="running", unfreeze_time_ms=40),
        "unfreezeSession",
    ),
    _limit(
        "service-slots-unlimited",
        "A key may have as many services as it likes.",
        served_as_main("slot"),
        *_OF_SERVICES,
    ),
    _limit(
        "service-frozen-with-slot",
        "A frozen service keeps its slot.",
        _frozen_with_slot("freezeService"),
        *("createSession", "freezeService", "unfreezeService", "deleteService"),
    ),
    _limit(
        "service-unfrozen-without-slot",
        "A service is unfrozen whether a slot is free or not.",
        _despite_limit(status="running", state="running", unfreeze_time_ms=40),
        "unfreezeService",
    ),
    _limit(
        "service-woken-without-slot",
        "A service is woken whether a slot is free or not.",
        _despite_limit(status="running", state="running", unfreeze_time_ms=40),
        "wakeService",
    ),
    _limit("free-served", "The free tier gets what it lacks.", served_as_main("free"), *_PAID),
    _limit(
        "limit-as-forbidden",
        "Who has met a limit is answered 403.",
        on_response(lambda _call, answer: setattr(answer, "status", 403), status(429)),
    ),
    _limit(
        "body-limit-as-bad",
        "A body that is too large is answered 400.",
        on_response(_too_large_as_bad, status(413)),
    ),
    _limit(
        "body-limit-small",
        "Bodies of more than a mebibyte are refused.",
        refusing(
            lambda call: call.authentic and len(call.body) > _MIB,
            lambda: Answer.error(413, "Request body too large", "PAYLOAD_TOO_LARGE"),
        ),
        *_RUNS,
    ),
    _limit("no-request-id", "Answers have no X-Request-Id.", _header(x_request_id=None)),
    _limit(
        "same-request-id",
        "All answers have the same X-Request-Id.",
        _only_set("x-request-id", "req-0"),
    ),
)

INJECTED = (
    Mutant(
        "struck-503",
        "Executions are answered 503 (a fault rule of the target).",
        Kind.STATUS,
        "operations",
        ("execute",),
        rule={"operation": "execute", "status": 503},
    ),
    Mutant(
        "struck-dropped",
        "Connections that ask for a job break off (a fault rule of the target).",
        Kind.DATA_LOSS,
        "workflows",
        ("getJob",),
        rule={"operation": "getJob", "drop": True},
        seen_at=("execute", "executeAsync", "run", "runAsync"),
    ),
    Mutant(
        "struck-truncated",
        "Half of each answer about the key comes (a fault rule of the target).",
        Kind.DATA_LOSS,
        "operations",
        ("getKeySelf",),
        rule={"operation": "getKeySelf", "truncate": True},
    ),
    Mutant(
        "struck-sandbox",
        "The sandbox dies under every program (a fault rule of the target).",
        Kind.DATA_LOSS,
        "semantics",
        ("execute",),
        rule={"operation": "execute", "kill": "agent"},
    ),
    Mutant(
        "struck-now-and-then",
        "Every third execution or so is answered 500 (a fault rule of the target).",
        Kind.STATE,
        "semantics",
        ("execute",),
        rule={"operation": "execute", "status": 500, "probability": 0.34, "seed": 7},
    ),
)
