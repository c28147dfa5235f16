"""Every operation of the contract: its examples, the bounds of its schemas, random requests."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract.api import Api
from contract.campaign import Campaign
from contract.exchange import EVENT_STREAM, Headers, Request, Response
from contract.generated.cases import AnyCase, Generator, economical, request_of
from contract.generated.driven import each
from contract.generated.judged import sent
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.resources import Example, Resources, examples, sources
from contract.signing import AUTHORIZATION, SIGNATURE, TIME
from contract.spec import METHODS, Operation, Spec
from contract.validity import Judge, Judgement, Verdict

QUICK_COVERAGE, FULL_COVERAGE = 12, 250
"""How many cases at the bounds of its schemas an operation gets."""

COSTLY_SHARE = 5
"""Operations that take seconds and cost get one in so many random cases."""

SIGNED = (AUTHORIZATION, TIME, SIGNATURE)
MADE_UP = "c0ntract-made-this-up"
KEY = "unsb-pk-c0nt-ract-made-this"


pytestmark = pytest.mark.each_operation


@pytest.fixture(scope="session")
def generator(campaign: Campaign) -> Generator:
    return Generator(campaign.spec)


@pytest.fixture(scope="session")
def judge(campaign: Campaign) -> Judge:
    return Judge(campaign.spec)


@pytest.fixture(scope="session")
def resources(campaign: Campaign) -> Iterator[Resources]:
    with Resources(campaign.api) as made:
        yield made


@pytest.fixture(scope="session")
def lacking() -> set[str]:
    """Operations that the server has answered 501, which are not asked many times."""
    return set()


@pytest.fixture
def operation(campaign: Campaign, operation_id: str, lacking: set[str]) -> Operation:
    """The operation of a check, if the server has it, and its answers come to an end."""
    found = campaign.spec.operations[operation_id]
    if operation_id in lacking:
        raise Unsupported(f"{operation_id} is not supported by this server (501)")
    if any(media == EVENT_STREAM and status < 300 for status, media in found.pointers):
        raise NotRun(f"{operation_id} streams, its own family reads it")
    return found


@pytest.fixture
def probing(campaign: Campaign) -> None:
    if not campaign.profile.probes:
        raise NotRun(f"the profile {campaign.profile.name} sends the contract's examples alone")


def test_its_examples_succeed(
    api: Api,
    campaign: Campaign,
    operation: Operation,
    resources: Resources,
    lacking: set[str],
) -> None:
    shown = examples(operation)
    try:
        for example in shown if campaign.profile.probes else shown[:1]:
            if not _succeeds(api, operation, example, resources):
                _is_lacking(api, campaign, operation, resources.adapted(example))
    except Unsupported:
        lacking.add(operation.id)
        raise


def _is_lacking(api: Api, campaign: Campaign, operation: Operation, example: Example) -> None:
    """Nothing can be made to call it on: where probes are sent, it says if it is supported."""
    if campaign.profile.probes:
        _send(api, operation, _made_up(operation), example)
    raise NotRun(f"{operation.id}: there is nothing to call it on")


def _succeeds(api: Api, operation: Operation, example: Example, resources: Resources) -> bool:
    """Whether one of the things that the example can be tried on takes it; False for no thing."""
    if not any(200 <= status < 300 for status in operation.statuses):
        _send(api, operation, _made_up(operation), example)
        return True
    refusals = []
    for path, adapted in _attempts(operation, example, resources):
        response = _send(api, operation, path, adapted)
        resources.release(operation, response)
        if 200 <= response.status < 300:
            return True
        refusals.append(f"{response.status}: {response.text[:300]}")
    if refusals:
        told = f"{operation.id}: the contract's example is answered {refusals[-1]}"
        raise ContractBroken("examples succeed", told)
    return False


def _attempts(
    operation: Operation, example: Example, resources: Resources
) -> Iterator[tuple[dict[str, str], Example]]:
    """Path and body to try, one after the other: on what is there, then on what is made for it."""
    ways = sources(resources.api.spec, operation)
    shown = {it["name"]: it["example"] for it in operation.parameters if "example" in it}
    if not ways and shown.keys() >= set(operation.path_parameters):
        yield shown, resources.adapted(example)
    for fresh, prepared in ((False, False), (True, False), (True, True)):
        before = _opposite(resources.api, operation) if prepared else None
        if prepared and before is None:
            return
        for source in ways:
            try:
                path, members = resources.through(source, fresh=fresh)
            except pytest.skip.Exception:
                continue
            if before is not None:
                _send(resources.api, before, path, resources.adapted(examples(before)[0]))
            yield path, resources.adapted(example, members)


UNDONE_BY = {
    "freeze": "unfreeze",
    "sleep": "wake",
    "boost": "unboost",
    "lock": "unlock",
    "grant": "revoke",
    "add": "remove",
}


def _opposite(api: Api, operation: Operation) -> Operation | None:
    """What has to come first for an operation that undoes something."""
    for does, undoes in UNDONE_BY.items():
        if operation.id.startswith(undoes):
            name = does + operation.id.removeprefix(undoes).removesuffix("Key")
            return api.spec.operations.get(name)
    return None


def _send(api: Api, operation: Operation, path: dict[str, str], example: Example) -> Response:
    return api.call(
        operation.id,
        path,
        content=example.content,
        media_type=example.media_type,
        expect=operation.statuses - {500},
    )


def _made_up(operation: Operation) -> dict[str, str]:
    return {name: KEY if name == "key" else MADE_UP for name in operation.path_parameters}


@pytest.mark.usefixtures("probing")
def test_bounds_hold(
    campaign: Campaign, operation: Operation, generator: Generator, trial: "Trial"
) -> None:
    """What lies within the bounds of the schemas is taken, what lies beyond is refused."""
    most = FULL_COVERAGE if campaign.effort.slow else QUICK_COVERAGE
    for case in generator.coverage(operation, most):
        trial.of(case)


@pytest.mark.usefixtures("probing")
def test_random_requests_are_answered_as_they_deserve(
    campaign: Campaign, operation: Operation, generator: Generator, trial: "Trial"
) -> None:
    costly = operation.traits.costs and operation.traits.slow
    count = max(1, campaign.effort.examples // (COSTLY_SHARE if costly else 1))
    each(generator.random(operation), count, trial.of)


@pytest.fixture
def trial(api: Api, operation: Operation, resources: Resources, judge: Judge) -> "Trial":
    return Trial(api, operation, resources, judge)


class Trial:
    """Sends cases to an operation, on something living where there is such a thing."""

    def __init__(self, api: Api, operation: Operation, resources: Resources, judge: Judge) -> None:
        self._api = api
        self._operation = operation
        self._resources = resources
        self._judge = judge
        ends = operation.method == "DELETE"
        self._living = None if ends else resources.parameters(operation)
        self._before = list(api.wire.trail)
        self._sent = set[tuple[str, Headers, bytes]]()

    def of(self, case: AnyCase) -> None:
        """Send a case, unless the same request was sent before; raises what `sent` raises."""
        request = self._request(case)
        if request is None or self._is_known(request):
            return
        self._api.wire.trail[:] = self._before
        response = sent(self._api, self._judge, self._operation, request)
        self._resources.release(self._operation, response)

    def _is_known(self, request: Request) -> bool:
        unsigned = tuple(it for it in request.headers if it[0] not in SIGNED)
        told = (request.target, unsigned, request.body)
        known = told in self._sent
        self._sent.add(told)
        return known

    def _request(self, case: AnyCase) -> Request | None:
        request = request_of(case, self._operation, self._api)
        if request is None:
            return None
        judgement = self._judge.judge(self._operation, request)
        if judgement.verdict is not Verdict.INVALID:
            economical(case, self._operation)
        if self._living and not _breaks_its_path(self._operation, judgement):
            case.path_parameters = dict(self._living)
        return request_of(case, self._operation, self._api)


def _breaks_its_path(operation: Operation, judgement: Judgement) -> bool:
    """Whether a fault lies in the path, which is then left as it is."""
    named = tuple(f"{name}:" for name in operation.path_parameters)
    return any(fault.startswith(named) for fault in judgement.faults)


def _is_made(spec: Spec, operation: Operation) -> bool:
    return bool(operation.path_parameters and sources(spec, operation))


@pytest.mark.each_operation(fits=_is_made)
@pytest.mark.usefixtures("probing")
def test_what_does_not_exist_is_not_found(
    api: Api, operation: Operation, resources: Resources
) -> None:
    example = resources.adapted(examples(operation)[0])
    api.call(
        operation.id,
        _made_up(operation),
        content=example.content,
        media_type=example.media_type,
        expect={404, 426} & operation.statuses,
        probe=True,
    )


@pytest.mark.usefixtures("probing")
def test_other_methods_are_refused(api: Api, campaign: Campaign, operation_id: str) -> None:
    """405 and `Allow`, which names the methods that the path has, and not the refused one."""
    operation = campaign.spec.operations[operation_id]
    path = operation.target(_made_up(operation))
    operations = campaign.spec.operations.values()
    declared = {other.method for other in operations if other.path == operation.path}
    methods = [it.upper() for it in METHODS]
    undeclared = [it for it in methods if campaign.spec.match(it, path) is None]
    for method in undeclared if campaign.effort.slow else undeclared[:1]:
        response = _unrouted(api, operation, method, path)
        allowed = {it.strip() for it in (response.header("Allow") or "").split(",")}
        told = f"{method} {path} is answered {response.status}, Allow: {response.header('Allow')}"
        assert response.status == 405, told
        assert declared <= allowed, told
        assert method not in allowed, told


@pytest.mark.usefixtures("probing")
def test_nothing_lies_below_it(api: Api, campaign: Campaign, operation_id: str) -> None:
    operation = campaign.spec.operations[operation_id]
    path = f"{operation.target(_made_up(operation))}/{MADE_UP}/{MADE_UP}"
    response = _unrouted(api, operation, "GET", path)
    assert response.status == 404, f"GET {path} is answered {response.status}"


def _unrouted(api: Api, operation: Operation, method: str, path: str) -> Response:
    """What comes for a method and a path that no operation has, signed."""
    api.wire.trail.clear()
    wanted = replace(operation, method=method)
    request = api.signed_to(wanted, path, probe=True)
    return api.wire.send(replace(request, operation=None))


@pytest.mark.operations("getOpenapi")
def test_the_document_that_is_served_has_paths(api: Api) -> None:
    paths = api.call("getOpenapi").json["paths"]
    assert "/execute" in paths, f"{len(paths)} paths, /execute not among them"
