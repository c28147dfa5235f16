"""The pytest plugin: fixtures that speak to a target, and what comes of each check, kept.

`pytest --contract-url http://127.0.0.1:8042 tests/` gives every test the fixture `api`; the
families of this suite are pytest modules themselves (`contract/families`).
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contract.options import OPTIONS

if TYPE_CHECKING:
    from contract.api import Api
    from contract.campaign import Campaign
    from contract.evidence import Result
    from contract.outcomes import Outcome

# Everything else of the suite is imported when a test asks for it: this module is loaded by every
# pytest of an environment that the suite is installed in.

OPERATIONS = "operations"
EACH = "each_operation"
SLOW = "slow_check"
_CAMPAIGN = pytest.StashKey["Campaign"]()
_FAMILIES = Path(__file__).parent / "families"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "unsandbox contract suite")
    for option in OPTIONS:
        keywords = {key: value for key, value in option.keywords.items() if key != "metavar"}
        group.addoption(f"--contract-{option.name}", help=option.help, **keywords)
    group.addoption("--contract-evidence", metavar="FILE", type=Path, help="where to keep events")
    group.addoption(
        "--contract-meter", metavar="FILE", type=Path, help="where the processes of a run count"
    )
    group.addoption(
        "--contract-fence", action="store_true", help="connect to nothing but the target"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{OPERATIONS}(*ids): the operations that a check is evidence for"
    )
    config.addinivalue_line(
        "markers",
        f"{EACH}(fits=...): the check is one for each operation, as `operation_id`, "
        "or for each that fits(spec, operation)",
    )
    config.addinivalue_line("markers", f"{SLOW}: not part of a quick run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker(EACH)
    if mark is None or "operation_id" not in metafunc.fixturenames:
        return
    from contract.spec import SPEC, loaded  # noqa: PLC0415

    spec = loaded(metafunc.config.getoption("--contract-spec") or SPEC)
    fits = mark.kwargs.get("fits", lambda _spec, _operation: True)
    fitting = [
        operation.id
        for operation in spec.operations.values()
        if not operation.is_extension and fits(spec, operation)
    ]
    metafunc.parametrize("operation_id", fitting)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the checks of the operations that were asked for, and those that belong to none."""
    asked = config.getoption("--contract-operations")
    if not asked:
        return
    wanted = {name.strip() for name in asked.split(",")}
    kept = [item for item in items if not _operations(item) or wanted & set(_operations(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> "Iterator[Campaign]":
    """The run that the options describe; see `contract.campaign`."""
    from contract.campaign import opened  # noqa: PLC0415
    from contract.consent import admitted  # noqa: PLC0415
    from contract.fence import raise_fence  # noqa: PLC0415
    from contract.profiles import Limits  # noqa: PLC0415
    from contract.reins import Reins  # noqa: PLC0415
    from contract.target import TargetError, resolve, with_some_key  # noqa: PLC0415

    option = request.config.getoption
    rehearsed = option("--contract-dry-run")
    try:
        target = (resolve if rehearsed else admitted)(
            option("--contract-target"), option("--contract-url"), option("--contract-targets")
        )
    except TargetError as error:
        pytest.fail(str(error), pytrace=False)
    if rehearsed:
        target = with_some_key(target)
    if option("--contract-fence"):
        raise_fence(() if rehearsed else target.hosts)
    with ExitStack() as stack:
        made = stack.enter_context(
            opened(
                target,
                profile=option("--contract-profile"),
                quick=option("--contract-quick"),
                strict=option("--contract-strict"),
                spec=option("--contract-spec"),
                evidence=option("--contract-evidence"),
                reins=Reins(
                    tier=option("--contract-tier"),
                    rate=option("--contract-rate"),
                    limits=Limits(
                        option("--contract-max-requests"),
                        option("--contract-max-spend"),
                        option("--contract-max-creates"),
                    ),
                    meter=option("--contract-meter"),
                    rehearsed=rehearsed,
                ),
            )
        )
        request.config.stash[_CAMPAIGN] = made
        stack.callback(request.config.stash.__delitem__, _CAMPAIGN)
        yield made


@pytest.fixture
def api(campaign: "Campaign") -> "Api":
    """The target as the main account sees it: `api.call("execute", json={...})`."""
    return campaign.api


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    campaign = item.config.stash.get(_CAMPAIGN, None)
    if campaign is not None and (report.when == "call" or not report.passed):
        for result in _results(item, call, report, campaign):
            campaign.evidence.add(result)
    return report


def _results(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, campaign: "Campaign"
) -> "Iterator[Result]":
    from contract.evidence import Result  # noqa: PLC0415
    from contract.outcomes import Outcome  # noqa: PLC0415

    outcome, message = _outcome(call, report)
    failed = outcome is Outcome.FAILED
    for operation in _operations(item) or ("",):
        yield Result(
            family=_family(item),
            check=getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " "),
            operation=operation,
            outcome=outcome,
            message=message,
            test=item.nodeid,
            seconds=round(call.duration, 3),
            trail=campaign.wire.recorded() if failed else (),
            cause=_cause(call.excinfo.value) if failed and call.excinfo else (),
        )


def _outcome(call: pytest.CallInfo[None], report: pytest.TestReport) -> "tuple[Outcome, str]":
    from contract.outcomes import Outcome, Unsupported  # noqa: PLC0415

    if report.passed:
        return Outcome.PASSED, ""
    error: Any = call.excinfo.value if call.excinfo else None
    if report.skipped:
        return (Outcome.UNSUPPORTED if isinstance(error, Unsupported) else Outcome.NOT_RUN), str(
            error
        )
    return Outcome.FAILED, str(error) or repr(error)


def _cause(error: BaseException) -> "list[list[str]]":
    """The violations that are all there is to a failure; none when it is more than that."""
    from contract.wire import BrokenAnswer  # noqa: PLC0415

    if isinstance(error, BaseExceptionGroup):
        causes = [_cause(member) for member in error.exceptions]
        return [violation for cause in causes for violation in cause] if all(causes) else []
    if not isinstance(error, BrokenAnswer):
        return []
    return [[error.operation, found.check, found.message] for found in error.violations]


def _operations(item: pytest.Item) -> tuple[str, ...]:
    """Those of the mark, and the one that the test is parametrized with."""
    named = tuple(name for mark in item.iter_markers(OPERATIONS) for name in mark.args)
    callspec = getattr(item, "callspec", None)
    given = callspec.params.get("operation_id") if callspec else None
    return (*named, given) if given else named


def _family(item: pytest.Item) -> str:
    """The module's name, or that of its folder where a family has several."""
    if not _inside(item.path):
        return "own"
    name = Path(item.path.relative_to(_FAMILIES).parts[0]).stem
    return name.removeprefix("test_").replace("_", " ")


def _inside(path: Path) -> bool:
    return path.is_relative_to(_FAMILIES)


def pytest_runtest_setup(item: pytest.Item) -> None:
    campaign = item.config.stash.get(_CAMPAIGN, None)
    if campaign is not None:
        campaign.wire.trail.clear()
    if item.config.getoption("--contract-quick") and item.get_closest_marker(SLOW):
        from contract.outcomes import NotRun  # noqa: PLC0415

        raise NotRun("it is slow, and a quick run leaves it out")
