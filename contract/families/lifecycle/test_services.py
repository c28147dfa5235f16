"""Services: vault, host names, bootstrap script, log, size and name."""

import json

import pytest

from contract.api import Api
from contract.things import Thing, awaited, kept, logged, make, new, new_name, of, runs

VARIABLES = {
    "PLAIN": "one",
    "SPACED": "two words",
    "URL": "postgres://user:pass@host/db?a=b&c=d#e",
    "EQUALS": "a=b==",
    "JSON": '{"a":[1,2]}',
    "UMLAUT": "Grüße ☃",
    "EMPTY": "",
}
BODIES = {
    "text": (
        "text/plain",
        "# a comment\n\n" + "".join(f"{name}={value}\n" for name, value in VARIABLES.items()),
    ),
    "json": ("application/json", json.dumps({"env": VARIABLES})),
}
SCRIPT = "/tmp/bootstrap.sh"  # noqa: S108 - where the contract says that it lies
SHOWN = ("getService", "listServices", "getServiceEnv", "getServiceLogs")
"""What is read of a service beside the export of its vault."""


@pytest.mark.operations("setServiceEnv", "exportServiceEnv", "getServiceEnv")
@pytest.mark.parametrize("form", BODIES)
def test_the_vault_gives_back_what_was_put_in(api: Api, form: str) -> None:
    media_type, body = BODIES[form]
    with new(api, "service") as thing:
        assert _status(thing) == (False, 0)
        _fill(thing, body, media_type)
        assert _status(thing) == (True, len(VARIABLES))
        assert _exported(thing) == VARIABLES
        _fill(thing, "ONLY=this\n")
        assert _exported(thing) == {"ONLY": "this"}


@pytest.mark.operations("setServiceEnv", *SHOWN)
def test_the_vault_s_values_are_in_its_export_alone(api: Api) -> None:
    secret = new_name()
    with new(api, "service") as thing:
        _fill(thing, f"SECRET={secret}\n")
        for operation in SHOWN:
            path = None if operation.startswith("list") else {"id": thing.id}
            assert secret not in api.call(operation, path).text, f"{operation} shows the vault"


@pytest.mark.operations("deleteServiceEnv", "getServiceEnv")
def test_the_vault_is_emptied_by_name_or_whole(api: Api) -> None:
    with new(api, "service") as thing:
        _fill(thing, "A=1\nB=2\nC=3\n")
        thing.call("deleteServiceEnv", json={"keys": ["B"]})
        assert _exported(thing) == {"A": "1", "C": "3"}
        thing.call("deleteServiceEnv")
        assert _status(thing) == (False, 0)


@pytest.mark.operations("setServiceEnv", "unfreezeService", "executeService")
def test_the_vault_s_variables_are_set_when_the_service_wakes(api: Api) -> None:
    with new(api, "service") as thing:
        _fill(thing, "GREETING=two words\n")
        thing.do("freeze")
        thing.do("unfreeze")
        runs(thing)
        assert thing.run("printenv GREETING")["stdout"] == "two words\n"


@pytest.mark.operations("setServiceDomains", "getService")
def test_host_names_are_replaced_added_and_removed(api: Api) -> None:
    one, two, three = (f"{new_name()}.example.com" for _ in range(3))
    changes: list[tuple[str, list[str], set[str]]] = [
        ("custom_domains", [one, two], {one, two}),
        ("add", [three], {one, two, three}),
        ("remove", [one, three], {two}),
        ("custom_domains", [], set()),
    ]
    with new(api, "service") as thing:
        for name, value, after in changes:
            answer = thing.call("setServiceDomains", json={name: value}).json
            assert set(answer["custom_domains"]) == after
            read = thing.read()
            assert set(read.get("custom_domains") or read.get("domains") or ()) == after


@pytest.mark.operations("createService", "getService")
def test_a_service_keeps_the_name_and_the_ports_that_it_is_given(api: Api) -> None:
    name, ports = new_name(), [8080, 9090]
    with kept(make(api, "service", name=name, ports=ports)) as it:
        document = it.read()
        assert document.get("name", name) == name
        assert sorted(document.get("ports", ports)) == ports


@pytest.mark.operations("createService", "executeService", "getServiceLogs")
def test_the_bootstrap_script_runs_and_can_be_read(api: Api) -> None:
    script = "echo first\necho second\n"
    with new(api, "service", bootstrap_content=script) as thing:
        assert logged(thing, "second").index("first") < logged(thing, "second").index("second")
        assert thing.content(SCRIPT) == script.encode()


@pytest.mark.operations("redeployService")
def test_a_redeploy_runs_the_script_again_or_a_new_one(api: Api) -> None:
    with new(api, "service", bootstrap_content="printf again >> runs; echo ran\n") as thing:
        logged(thing, "ran")
        thing.call("redeployService")
        runs(thing)
        awaited(
            lambda: thing.content("runs"), lambda it: it == b"againagain", "the script ran once"
        )
        script = "echo of the new\n"
        thing.call("redeployService", json={"bootstrap_content": script})
        runs(thing)
        logged(thing, "of the new")
        assert thing.content(SCRIPT) == script.encode()


@pytest.mark.operations("redeployService")
def test_a_redeploy_without_any_script_is_refused(api: Api) -> None:
    with new(api, "service") as thing:
        thing.call("redeployService", expect=400)


@pytest.mark.operations("updateService", "resizeService", "getService")
def test_a_service_is_as_it_was_told_to_be(api: Api) -> None:
    with new(api, "service", vcpu=1, ports=[8080], unfreeze_on_demand=False) as thing:
        changes = {"unfreeze_on_demand": True, "show_freeze_page": False, "ports": [80, 443]}
        thing.do("update", json=changes)
        assert thing.read() | changes == thing.read()
        assert thing.do("resize", json={"vcpu": 2}).json["vcpu"] == 2
        assert thing.read().get("vcpu", 2) == 2
        thing.do("update", json={"vcpu": 1})
        assert thing.read().get("vcpu", 1) == 1


@pytest.mark.operations("createService", "getService")
def test_a_service_s_name_is_its_own(api: Api) -> None:
    name = new_name()
    with new(api, "service", name=name, ports=[8080]) as thing:
        document = thing.document
        assert (document["name"], document["ports"]) == (name, [8080])
        assert document["url"].split("//")[1].startswith(f"{name}.")
        assert api.call("getService", {"id": name}).json["service_id"] == thing.id
        taken = api.call("createService", json={"name": name}, expect=(200, 409), probe=True)
        if taken.status == 200:
            with kept(of(api, "service", taken)):
                pytest.fail("a name was given to two services")


@pytest.mark.operations("executeService", "getJob")
def test_a_command_in_a_service_is_kept_as_a_job(api: Api) -> None:
    with new(api, "service") as thing:
        ran = thing.run("echo on; exit 4")
        assert (ran["status"], ran["stdout"], ran["exit_code"]) == ("completed", "on\n", 4)
        job = api.call("getJob", {"id": ran["job_id"]}).json
        assert (job["status"], job["stdout"], job["exit_code"]) == ("completed", "on\n", 4)


@pytest.mark.operations("executeService")
def test_a_command_with_a_time_limit_is_answered_202(api: Api) -> None:
    with new(api, "service") as thing:
        body = {"command": "echo on", "timeout": 30_000}
        assert thing.do("execute", json=body, expect=202).json["stdout"] == "on\n"


def _fill(thing: Thing, body: str, media_type: str = "text/plain") -> None:
    answer = thing.call("setServiceEnv", content=body.encode(), media_type=media_type).json
    assert answer["status"] == "updated"


def _status(thing: Thing) -> tuple[bool, int]:
    answer = thing.call("getServiceEnv").json
    return answer["exists"], answer["variable_count"]


def _exported(thing: Thing) -> dict[str, str]:
    lines: list[str] = thing.call("exportServiceEnv").json["env"].splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
