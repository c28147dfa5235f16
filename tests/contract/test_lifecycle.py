"""The lifecycle checks pass against a server that keeps the contract, and catch its faults."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from contract import things
from contract.api import Api
from contract.campaign import opened
from contract.families.lifecycle import test_images, test_services, test_snapshots, test_states
from contract.target import resolve
from tests.contract.standin import StandIn, running

Check = Callable[[Api], None]

LOCKED = test_states.test_what_is_locked_is_deleted_after_its_unlock_alone
READ = test_states.test_it_is_read_and_listed_until_it_is_deleted
CAUGHT_BY: dict[str, list[Check]] = {
    "lock ignored": [partial(LOCKED, kind="session"), partial(LOCKED, kind="image")],
    "freeze ignored": [
        partial(test_states.test_what_is_frozen_runs_nothing_and_loses_nothing, kind="service")
    ],
    "boost forgotten": [test_states.test_a_session_has_the_size_that_it_was_given],
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


@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_a_fault_is_caught(
    standin: StandIn, api: Api, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(things, "PATIENCE_SECONDS", 1)
    for check in CAUGHT_BY[fault]:
        check(api)
    monkeypatch.setattr(standin.world, "faults", {fault})
    for check in CAUGHT_BY[fault]:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(api)
