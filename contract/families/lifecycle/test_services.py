"""Services: vault, host names, bootstrap script, log, size and name."""

import base64
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
TAKEN = (403, 409)
RESERVED = ("api.unsandbox.com", "another.on.unsandbox.com", "unsandbox.com")
SCRIPT = "/tmp/bootstrap.sh"  # noqa: S108 - where the contract says that it lies
FAILS_SECONDS = 60

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


DIALECTS: dict[str, tuple[str, object]] = {
    "a file as env": ("setServiceEnv", {"env": "A=1\nB=two words\n"}),
    "a file as content": ("setServiceEnv", {"content": "A=1\nB=two words\n"}),
    "variables themselves": ("setServiceEnvAlias", {"A": "1", "B": "two words"}),
    "variables as env": ("setServiceEnvAlias", {"env": {"A": "1", "B": "two words"}}),
}
"""How clients fill a vault in JSON: the operation, and the body."""


@pytest.mark.operations("setServiceEnv", "setServiceEnvAlias", "exportServiceEnv", "getServiceEnv")
def test_every_way_to_fill_the_vault_puts_the_same_into_it(api: Api) -> None:
    with new(api, "service") as thing:
        for name, (operation, body) in DIALECTS.items():
            thing.call("deleteServiceEnv")
            thing.call(operation, json=body)
            assert _exported(thing) == {"A": "1", "B": "two words"}, name
        exported = thing.call("getServiceEnv", query={"format": "export"}).json
        assert exported.get("env") == thing.call("exportServiceEnv").json["env"]


@pytest.mark.operations("createService", "getServiceEnv", "exportServiceEnv", "deleteService")
def test_the_vault_is_as_old_as_its_service_and_no_older(api: Api) -> None:
    name = new_name()
    with new(api, "service", name=name, env={"A": "1"}) as first:
        assert _exported(first) == {"A": "1"}
        first.do("delete")
        for operation in ("getServiceEnv", "exportServiceEnv", "getServiceLogs"):
            first.call(operation, expect=404)
    with new(api, "service", name=name) as second:
        assert _status(second) == (False, 0), "a service found the vault of another"


@pytest.mark.operations("setServiceEnv")
def test_what_is_refused_of_a_vault_is_not_repeated(api: Api) -> None:
    secret = new_name()
    with new(api, "service") as thing:
        _fill(thing, "KEPT=1\n")
        for wrong in (f"A=1\nSECRET {secret}\n", f"A=1\n{secret}\n", f"1{secret}=a\n"):
            answer = thing.call(
                "setServiceEnv",
                content=wrong.encode(),
                media_type="text/plain",
                expect=(200, 400),
                probe=True,
            )
            assert secret not in answer.text, "an error shows a piece of a vault"
            assert answer.status == 400 or _exported(thing) != {"KEPT": "1"}
            _fill(thing, "KEPT=1\n")


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
            assert _domains(thing) == after


@pytest.mark.operations("setServiceDomains", "createService", "updateService", "getService")
def test_a_host_name_belongs_to_one_service(api: Api) -> None:
    """Of whichever account, and by whichever way it is asked for; given up, it is free again."""
    name = f"{new_name()}.example.com"
    with new(api, "service") as one, new(api.as_("second"), "service") as other:
        one.call("setServiceDomains", json={"add": [name]})
        for wanted in (name, name.upper()):
            _refused(other, "setServiceDomains", {"add": [wanted]})
            _refused(other, "setServiceDomains", {"custom_domains": [wanted]})
            _refused(other, "updateService", {"custom_domains": [wanted]})
        made = other.api.call(
            "createService",
            json={"name": new_name(), "custom_domains": [name]},
            expect=(200, *TAKEN),
            probe=True,
        )
        if made.status == 200:
            with kept(of(other.api, "service", made)):
                pytest.fail("a host name leads to two services")
        assert _domains(other) == set()
        one.call("setServiceDomains", json={"remove": [name]})
        answer = other.call("setServiceDomains", json={"add": [name]}).json
        assert answer["custom_domains"] == [name]


@pytest.mark.operations("setServiceDomains")
@pytest.mark.parametrize("name", RESERVED)
def test_a_host_name_of_the_platform_s_is_no_service_s(api: Api, name: str) -> None:
    with new(api, "service") as thing:
        _refused(thing, "setServiceDomains", {"add": [name]}, (400, *TAKEN))
        assert _domains(thing) == set()


def _refused(thing: Thing, operation: str, body: object, statuses: tuple[int, ...] = TAKEN) -> None:
    thing.call(operation, json=body, expect=statuses, probe=True)


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


@pytest.mark.operations("updateService", "getService", "executeService")
def test_a_service_that_is_renamed_goes_by_its_new_name_alone(api: Api) -> None:
    name, later = new_name(), new_name()
    with new(api, "service", name=name) as thing, new(api, "service") as other:
        thing.do("update", json={"name": later})
        assert thing.read().get("name", later) == later
        api.call("getService", {"id": name}, expect=404)
        command = {"command": "echo on"}
        assert api.call("executeService", {"id": later}, json=command).json["stdout"] == "on\n"
        before = other.read()
        change = {"name": later, "show_freeze_page": not before.get("show_freeze_page", True)}
        other.do("update", json=change, expect=409, probe=True)
        assert other.read() == before, "a change that was refused was made in part"


@pytest.mark.operations("freezeService", "redeployService", "resizeService", "getServiceLogs")
def test_a_frozen_service_is_read_and_nothing_else(api: Api) -> None:
    with new(api, "service", bootstrap_content="echo on\n") as thing:
        log = logged(thing, "on")
        thing.do("freeze")
        thing.call("redeployService", expect=409)
        thing.do("resize", json={"vcpu": 2}, expect=409)
        assert thing.call("getServiceLogs").json["log"] == log
        assert thing.read()["status"] == "frozen"


@pytest.mark.operations("createService", "getService")
def test_a_script_that_fails_leaves_a_service_that_has_failed(api: Api) -> None:
    with kept(make(api, "service", bootstrap_content="echo on\nexit 3\n")) as thing:
        awaited(
            thing.read,
            lambda it: it["status"] == "failed",
            "a service whose script ended with 3 has not failed",
            FAILS_SECONDS,
        )
        assert "on" in logged(thing, "on")


@pytest.mark.operations("createService", "executeService")
def test_input_files_are_where_commands_begin(api: Api) -> None:
    first, second = ({"filename": it, "content": _base64(it)} for it in ("first", "second"))
    with new(api, "service", input_files=[first]) as thing:
        body = {"command": "pwd; cat first second", "input_files": [second]}
        said = thing.do("execute", json=body).json
        assert said["stdout"] == "/tmp/input\nfirstsecond", said  # noqa: S108 - in the service


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.operations("executeService", "getJob")
def test_a_command_is_stopped_at_its_time_limit(api: Api) -> None:
    with new(api, "service") as thing:
        body = {"command": "echo on; sleep 30; echo off", "timeout": 2000}
        ran = thing.do("execute", json=body, expect=202).json
        job = awaited(
            lambda: api.call("getJob", {"id": ran["job_id"]}).json,
            lambda it: it["status"] not in ("pending", "running"),
            "a command has no end",
        )
        assert (job["status"], job["stdout"]) == ("timeout", "on\n")


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


def _domains(thing: Thing) -> set[str]:
    read = thing.read()
    return set(read.get("custom_domains") or read.get("domains") or ())


def _fill(thing: Thing, body: str, media_type: str = "text/plain") -> None:
    answer = thing.call("setServiceEnv", content=body.encode(), media_type=media_type).json
    assert answer["status"] == "updated"


def _status(thing: Thing) -> tuple[bool, int]:
    answer = thing.call("getServiceEnv").json
    return answer["exists"], answer["variable_count"]


def _exported(thing: Thing) -> dict[str, str]:
    lines: list[str] = thing.call("exportServiceEnv").json["env"].splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
