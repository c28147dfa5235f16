"""The checks of what the emulator does not have yet: a server that keeps the contract passes them,
and each fault of it is caught by the family that is there for it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from contract import shell, things
from contract.api import Api
from contract.campaign import opened
from contract.families import test_shell, test_streams
from contract.families.lifecycle import test_images, test_services, test_snapshots, test_states
from contract.mutants.mutators import document, for_operations
from contract.outcomes import NotRun
from contract.target import resolve
from emulator.api.table import NOT_IMPLEMENTED
from tests.contract.runs import faulty, results
from tests.contract.standin import FAULTS, StandIn, running

Check = Callable[[Api], None]
LACKING = ",".join(sorted(NOT_IMPLEMENTED))

LOCKED = test_states.test_what_is_locked_is_deleted_after_its_unlock_alone
READ = test_states.test_it_is_read_and_listed_until_it_is_deleted
CAUGHT_BY: dict[str, list[Check]] = {
    "lock ignored": [partial(LOCKED, kind="session"), partial(LOCKED, kind="image")],
    "freeze ignored": [
        partial(test_states.test_what_is_frozen_runs_nothing_and_loses_nothing, kind="service")
    ],
    "deleted stays": [partial(READ, kind="service"), partial(READ, kind="snapshot")],
    "listed nowhere": [partial(READ, kind="session"), partial(READ, kind="image")],
    "ids reused": [partial(test_states.test_an_id_is_never_used_again, kind="session")],
    "restore does nothing": [
        partial(test_snapshots.test_a_restore_brings_every_byte_back, kind="service"),
        partial(test_snapshots.test_a_session_is_restored_by_either_path, way="restoreSession"),
        test_snapshots.test_a_restore_can_be_done_again,
    ],
    "snapshot follows": [
        partial(test_snapshots.test_a_restore_brings_every_byte_back, kind="session")
    ],
    "clone shares state": [
        partial(
            test_snapshots.test_a_clone_begins_with_the_snapshot_and_shares_nothing, kind="session"
        ),
        partial(test_images.test_an_image_outlives_its_source, kind="snapshot"),
    ],
    "visibility ignored": [
        test_images.test_an_image_is_private_at_first,
        test_images.test_a_public_image_is_everybody_s_until_it_is_private_again,
        test_images.test_what_one_may_not_see_one_may_not_use,
    ],
    "revoke ignored": [test_images.test_an_unlisted_image_is_seen_by_trusted_keys_alone],
    "transfer keeps owner": [test_images.test_a_transferred_image_is_the_other_s],
    "secret echoed": [test_services.test_the_vault_s_values_are_in_its_export_alone],
    "vault cut": [
        partial(test_services.test_the_vault_gives_back_what_was_put_in, form="text"),
        partial(test_services.test_the_vault_gives_back_what_was_put_in, form="json"),
    ],
    "name taken twice": [test_services.test_a_service_s_name_is_its_own],
    "domains ignored": [test_services.test_host_names_are_replaced_added_and_removed],
    "events reordered": [
        partial(test_streams.test_a_stream_shows_lines_in_the_order_of_the_log, operation_id=name)
        for name in test_streams.STREAMS
    ],
    "lines newest first": [
        partial(test_streams.test_the_newest_line_is_the_last, operation_id=name)
        for name in test_streams.READS
    ],
    "grep ignored": [
        partial(test_streams.test_lines_that_lack_a_text_are_left_out, operation_id="getPaasLogs"),
        test_streams.test_a_stream_leaves_out_lines_that_lack_a_text,
    ],
    "lines ignored": [
        partial(test_streams.test_no_more_lines_come_than_were_asked_for, operation_id="getLogs"),
        test_streams.test_a_service_s_log_is_whole_or_as_long_as_was_asked,
    ],
    "stream ends": [
        partial(test_streams.test_a_stream_goes_on_until_its_client_goes, operation_id="streamLogs")
    ],
    "event without source": [
        partial(
            test_streams.test_a_stream_shows_lines_in_the_order_of_the_log,
            operation_id="streamPaasLogs",
        )
    ],
    "foreign lines": [test_streams.test_a_service_s_log_is_its_own],
    "redeploy ignored": [test_services.test_a_redeploy_runs_the_script_again_or_a_new_one],
}
"""Faults of the stand-in by the checks that find them."""


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def api(standin: StandIn) -> Iterator[Api]:
    with opened(resolve(None, standin.url)) as campaign:
        yield campaign.api


def test_a_server_that_keeps_the_contract_passes(standin: StandIn, tmp_path: Path) -> None:
    found = results(standin.url, "lifecycle", tmp_path, "--operations", LACKING)
    assert {result["outcome"] for result in found} == {"passed"}


def test_a_container_of_which_no_name_is_told_is_no_evidence(standin: StandIn) -> None:
    untold = document(lambda body: body.pop("container_name", None))
    with (
        faulty(standin.url, for_operations(untold, frozenset(["getSession"]))) as url,
        opened(resolve(None, url)) as campaign,
        things.new(campaign.api, "session") as session,
        pytest.raises(NotRun, match="container"),
    ):
        things.container(session)


def test_what_a_shell_and_a_stream_show_is_no_answer_that_a_request_brings_again(api: Api) -> None:
    api.wire.trail.clear()
    test_shell.test_a_service_has_a_shell_too(api)
    test_streams.test_a_stream_goes_on_until_its_client_goes(api, "streamLogs")
    again = {step["operation"]: step["ordinary"] for step in api.wire.recorded()}
    assert {name for name, ordinary in again.items() if not ordinary} == {
        "openSessionShell",
        "streamLogs",
    }


def test_every_fault_of_the_stand_in_is_caught_by_a_check() -> None:
    assert set(CAUGHT_BY) == set(FAULTS)


@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_a_fault_is_caught(
    standin: StandIn, api: Api, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patient in (things, shell):
        monkeypatch.setattr(patient, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(standin.world, "faults", {fault})
    for check in CAUGHT_BY[fault]:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(api)
