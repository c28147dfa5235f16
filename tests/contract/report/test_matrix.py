"""What a run's events add up to."""

from contract.outcomes import Outcome
from contract.report.matrix import Standing
from tests.contract.reports import answers, every_success, matrix_of, result


def reasons(*events: dict[str, object], whole: bool = True) -> tuple[str, ...]:
    return matrix_of(*events).verdict(whole=whole).reasons


def test_a_success_of_everything_keeps_the_contract() -> None:
    verdict = matrix_of(*every_success(), result("execute", "passed")).verdict(whole=True)
    assert verdict.kept


def test_an_operation_without_a_success_is_as_loud_as_a_failure() -> None:
    events = [it for it in every_success() if it["operation"] != "getJob"]
    expected = ("getJob: no documented success was seen",)
    assert reasons(*events) == expected
    assert reasons(*events, answers("getJob", 404, 900)) == expected
    assert reasons(*events, answers("getJob", 299)) == expected
    assert reasons(*events, whole=False) == ()


def test_unsupported_and_not_run_are_neither_success_nor_failure() -> None:
    events = [it for it in every_success() if it["operation"] not in ("getJob", "execute")]
    matrix = matrix_of(
        *events, answers("getJob", 501), result("execute", "not run", "out of budget")
    )
    assert matrix.verdict(whole=True).kept
    assert matrix.rows["getJob"].standing is Standing.UNSUPPORTED
    assert matrix.rows["execute"].standing is Standing.NOT_RUN
    assert matrix.counts[Outcome.NOT_RUN] == 1
    assert matrix.counts[Outcome.PASSED] == 1  # that of every_success


def test_the_worst_of_several_cases_counts_with_its_own_message() -> None:
    matrix = matrix_of(
        result("execute", "not run", "no budget"),
        result("execute", "failed", "it is wrong"),
        result("execute", "passed"),
    )
    (cell,) = matrix.rows["execute"].cells.values()
    assert (cell.outcome, cell.cases, cell.messages) == (Outcome.FAILED, 3, ["it is wrong"])


def test_failures_of_one_check_are_one_with_the_shortest_way_there() -> None:
    step = {"at": 0.0}
    matrix = matrix_of(
        result("execute", "failed", "long", trail=[step, step]),
        result("execute", "failed", "short", trail=[step]),
        result("execute", "failed", "unknown"),
        result("run", "failed", ""),
    )
    first, second = matrix.failures.values()
    assert (first.name, first.count, first.message) == ("001", 3, "short")
    assert (second.name, second.message) == ("002", "it failed without a word")


def test_a_check_of_no_operation_is_not_lost() -> None:
    assert reasons(*every_success(), result("", "failed", "no")) == (
        "(no operation): semantics: it does: no",
    )
