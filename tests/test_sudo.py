from dataclasses import replace
from itertools import pairwise

import pytest

from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import SudoRequired
from emulator.log import NOBODY, line
from emulator.sudo import LIFETIME, MAX_OPEN, TRIES, Action, Challenges, Confirmation
from tests.client import test_account

OWNER = test_account("sudo")
OTHER = replace(OWNER, public_key="unsb-pk-test-othr-0000-0001")
CODE = "424242"
DELETE = Action("deleteService", frozenset({("id", "svc_1")}))
DELETE_OTHER = Action("deleteService", frozenset({("id", "svc_2")}))
UNLOCK = Action("unlockService", frozenset({("id", "svc_1")}))


def refusal(
    challenges: Challenges,
    answer: Confirmation | None = None,
    action: Action = DELETE,
    account: Account = OWNER,
) -> SudoRequired:
    with pytest.raises(SudoRequired) as refused:
        challenges.confirm(account, action, answer)
    return refused.value


def ask(challenges: Challenges, action: Action = DELETE, account: Account = OWNER) -> str:
    return str(refusal(challenges, None, action, account).body()["challenge_id"])


def test_the_code_to_a_challenge_is_good_once() -> None:
    challenges = Challenges(Clock())
    answer = Confirmation(CODE, ask(challenges))
    challenges.confirm(OWNER, DELETE, answer)
    assert refusal(challenges, answer).body()["challenge_id"] != answer.challenge


def test_every_challenge_has_its_own_name() -> None:
    challenges = Challenges(Clock())
    names = [ask(challenges) for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("chal_") and len(name) == 37 for name in names)
    challenges.confirm(OWNER, DELETE, Confirmation(CODE, names[0]))  # an older one is good, too


def test_an_account_without_a_code_is_asked_for_none() -> None:
    Challenges(Clock()).confirm(test_account("default"), DELETE, None)


@pytest.mark.parametrize(
    ("action", "account"),
    [(DELETE_OTHER, OWNER), (UNLOCK, OWNER), (DELETE, OTHER)],
    ids=["another thing", "another operation", "another account"],
)
def test_a_challenge_is_for_one_operation_of_one_account_on_one_thing(
    action: Action, account: Account
) -> None:
    challenges = Challenges(Clock())
    given = ask(challenges)
    told = refusal(challenges, Confirmation(CODE, given), action, account)
    assert told.body()["challenge_id"] != given
    challenges.confirm(OWNER, DELETE, Confirmation(CODE, given))


def test_a_code_alone_answers_the_newest_challenge() -> None:
    challenges = Challenges(Clock())
    older, newest = ask(challenges), ask(challenges)
    ask(challenges, UNLOCK)
    challenges.confirm(OWNER, DELETE, Confirmation(CODE))
    assert refusal(challenges, Confirmation(CODE, newest)).body()["challenge_id"] not in (
        older,
        newest,
    )
    challenges.confirm(OWNER, DELETE, Confirmation(CODE, older))


def test_a_code_that_nothing_asked_for_is_refused_with_a_challenge() -> None:
    challenges = Challenges(Clock())
    given = str(refusal(challenges, Confirmation(CODE)).body()["challenge_id"])
    challenges.confirm(OWNER, DELETE, Confirmation(CODE, given))


@pytest.mark.parametrize(
    ("action", "account"), [(DELETE_OTHER, OWNER), (UNLOCK, OWNER), (DELETE, OTHER)]
)
def test_a_code_alone_answers_nothing_else_either(action: Action, account: Account) -> None:
    challenges = Challenges(Clock())
    given = ask(challenges)
    assert refusal(challenges, Confirmation(CODE), action, account).body()["challenge_id"] != given


def test_a_challenge_is_over_when_its_time_is() -> None:
    clock = Clock()
    challenges = Challenges(clock)
    first = ask(challenges)
    clock.advance(LIFETIME - 10)
    second = ask(challenges)
    clock.advance(20)
    assert refusal(challenges, Confirmation(CODE, first)).body()["challenge_id"] != first
    challenges.confirm(OWNER, DELETE, Confirmation(CODE, second))


@pytest.mark.parametrize("wrong", ["000000", "42424", "4242420", " 424242", "\udcff", "\xff"])
def test_wrong_codes_end_a_challenge_when_there_are_too_many(wrong: str) -> None:
    challenges = Challenges(Clock())
    given = ask(challenges)
    told = [refusal(challenges, Confirmation(wrong, given)) for _ in range(TRIES)]
    assert [one.body()["challenge_id"] == given for one in told] == [True] * (TRIES - 1) + [False]
    assert all(first.details for first in told)
    assert refusal(challenges, Confirmation(CODE, given)).body()["challenge_id"] != given
    following = told[-1].body()["challenge_id"]
    challenges.confirm(OWNER, DELETE, Confirmation(CODE, str(following)))


def test_no_answer_tells_the_code() -> None:
    challenges = Challenges(Clock())
    given = ask(challenges)
    for answer in (
        None,
        Confirmation("000000", given),
        Confirmation("000000"),
        Confirmation(CODE, "chal_x"),
    ):
        assert CODE not in str(refusal(challenges, answer).body())


def test_a_code_is_logged_for_who_runs_the_emulator_and_shown_to_no_account(
    caplog: pytest.LogCaptureFixture,
) -> None:
    thing = "unsb-service-" + 32 * "a"
    with caplog.at_level("INFO", "emulator.sudo"):
        given = ask(Challenges(Clock()), Action("deleteService", frozenset({("id", thing)})))
    (record,) = caplog.records
    assert all(part in line(record) for part in (CODE, given, OWNER.public_key, "deleteService"))
    assert thing not in line(record)
    assert vars(record)["account"] == NOBODY


def test_an_account_holds_so_many_challenges_and_the_oldest_gives_way() -> None:
    challenges = Challenges(Clock())
    of_other = ask(challenges, account=OTHER)
    names = [ask(challenges) for _ in range(MAX_OPEN + 1)]
    for gone, there in pairwise(names[:2]):
        challenges.confirm(OWNER, DELETE, Confirmation(CODE, there))
        refusal(challenges, Confirmation(CODE, gone))
    challenges.confirm(OTHER, DELETE, Confirmation(CODE, of_other))


def test_challenges_can_be_forgotten() -> None:
    challenges = Challenges(Clock())
    given = ask(challenges)
    challenges.clear()
    assert refusal(challenges, Confirmation(CODE, given)).body()["challenge_id"] != given
