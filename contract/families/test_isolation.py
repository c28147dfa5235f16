"""A program reaches nothing that it must not: networks, privileges, what others have."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pytest

from contract.api import Api
from contract.campaign import Campaign
from contract.execution import begun, ended, found, run
from contract.listener import Listener, listening, own_addresses
from contract.outcomes import NotRun
from contract.programs import Programs

METADATA = "169.254.169.254"
PUBLIC = "1.1.1.1"
"""Tried from inside a real service's sandboxes alone: no other target may send anything out."""

NAMES = ("api.unsandbox.com", "unsandbox.com", "metadata.google.internal")
NEARBY = ("127.0.0.1", "10.0.0.1", "172.17.0.1", "192.168.0.1", METADATA)
"""What a proxy must not lead to: loopback, private and link-local addresses."""

REFUSED = 403
SECONDS = 60
"""Within which an answer comes; what should be ended would go on for five times as long."""

Target = tuple[str, str, int]


@pytest.fixture(scope="session")
def listener(campaign: Campaign) -> Iterator[Listener]:
    """Sockets on this machine, when the target's sandboxes are on it too."""
    if campaign.target.real or not _is_loopback(campaign.target.host):
        yield Listener()
        return
    with listening() as made:
        yield made


@pytest.fixture
def semitrusted(api: Api, campaign: Campaign, programs: Programs) -> Api:
    """The server, where programs may have a network; it may take a while to set that up."""
    if campaign.profile.name not in ("paid", "full"):
        raise NotRun(f"the profile {campaign.profile.name} gives no program a network")
    program = programs.some("nothing")
    body = {"language": program.language, "code": program.code, "network_mode": "semitrusted"}
    answer = api.call("execute", json=body, expect=(200, 503))
    if answer.status != 200:
        raise NotRun(f"the target has no network for programs: {answer.text[:200]}")
    return api


def direct(campaign: Campaign, listener: Listener) -> list[Target]:
    """What no program may reach by a connection of its own."""
    parts = urlsplit(campaign.target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    targets = [*listener.targets, ("tcp", METADATA, 80)]
    if listener.targets:
        targets += [("tcp", address, port) for address in own_addresses()]
    if campaign.target.real:
        targets += [("tcp", PUBLIC, 443), ("udp", PUBLIC, 53)]
    return targets


# --- networks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation_id", "fields"), [("execute", {}), ("executeAsync", {"network_mode": "zerotrust"})]
)
def test_zerotrust_reaches_nothing(
    api: Api,
    campaign: Campaign,
    programs: Programs,
    listener: Listener,
    operation_id: str,
    fields: dict[str, str],
) -> None:
    """Neither by default nor when it is asked for."""
    targets = [*direct(campaign, listener), *(("name", name, 443) for name in NAMES)]
    env = {"TARGETS": json.dumps(targets)}
    result = run(api, operation_id, programs.some("reach"), env=env, ttl=60, **fields)
    assert said(result) == [], "these were reached"
    assert result["network_mode"] == "zerotrust"
    assert listener.visitors == []


@pytest.mark.operations("run")
def test_zerotrust_is_the_default_of_text_too(
    api: Api, campaign: Campaign, programs: Programs, listener: Listener
) -> None:
    env = {"TARGETS": json.dumps([*direct(campaign, listener), ("name", NAMES[0], 443)])}
    result = run(api, "run", programs.some("reach"), env=env)
    assert said(result) == [], "these were reached"
    assert listener.visitors == []


@pytest.mark.parametrize("operation_id", ["execute", "runAsync"])
def test_a_program_is_told_the_network_that_it_has(
    semitrusted: Api, programs: Programs, operation_id: str
) -> None:
    for mode in ("semitrusted", "zerotrust"):
        result = run(semitrusted, operation_id, programs.some("nothing"), network_mode=mode)
        assert result["network_mode"] == mode


@pytest.mark.slow_check
@pytest.mark.operations("execute")
def test_semitrusted_reaches_nothing_past_its_proxy(
    semitrusted: Api, campaign: Campaign, programs: Programs, listener: Listener
) -> None:
    env = {"TARGETS": json.dumps(direct(campaign, listener))}
    result = run(
        semitrusted, "execute", programs.some("reach"), env=env, network_mode="semitrusted"
    )
    reached = said(result)
    assert [target for target in reached if target[0] != "proxy"] == [], "these were reached"
    assert reached, "the proxies of the environment do not answer"
    assert result["network_mode"] == "semitrusted"
    assert listener.visitors == []


@pytest.mark.slow_check
@pytest.mark.operations("execute")
def test_the_proxy_refuses_what_is_nearby(
    semitrusted: Api, programs: Programs, listener: Listener
) -> None:
    targets = [(host, port) for kind, host, port in listener.targets if kind == "tcp"]
    targets += [(host, 80) for host in NEARBY]
    env = {"TARGETS": json.dumps(targets)}
    program = programs.some("ask_the_proxy")
    result = run(semitrusted, "execute", program, env=env, network_mode="semitrusted", ttl=300)
    statuses = dict(zip(targets, said(result), strict=True))
    assert statuses == {target: [REFUSED, REFUSED] for target in targets}
    assert listener.visitors == []


@pytest.mark.slow_check
@pytest.mark.operations("execute", "getHealth")
@pytest.mark.parametrize("name", NAMES[:1])
def test_semitrusted_reaches_the_api_by_its_name(
    semitrusted: Api, programs: Programs, name: str
) -> None:
    env = {"ADDRESS": f"https://{name}/health"}
    result = run(
        semitrusted, "execute", programs.some("fetch"), env=env, network_mode="semitrusted"
    )
    assert said(result)["status"] == semitrusted.call("getHealth").json["status"]


@pytest.mark.slow_check
@pytest.mark.operations("execute")
def test_semitrusted_reaches_the_world(
    semitrusted: Api, campaign: Campaign, programs: Programs
) -> None:
    if not campaign.target.real:
        raise NotRun("only the sandboxes of a real service are made to send something out")
    env = {"ADDRESS": "https://example.com/"}
    result = run(
        semitrusted, "execute", programs.some("fetch"), env=env, network_mode="semitrusted"
    )
    assert result["success"], result["stderr"]


# --- privileges and bounds ---------------------------------------------------------------------


@pytest.mark.parametrize("operation_id", ["execute", "executeAsync"])
def test_a_program_has_no_privileges(api: Api, programs: Programs, operation_id: str) -> None:
    assert said(run(api, operation_id, programs.some("privileges"))) == []


@pytest.mark.slow_check
@pytest.mark.operations("execute")
def test_processes_are_bounded_and_the_program_is_told(api: Api, programs: Programs) -> None:
    most = 3000
    result = run(api, "execute", programs.some("start_processes"), env={"MOST": str(most)}, ttl=60)
    assert 0 < said(result) < most
    assert run(api, "execute", programs.some("nothing"))["success"]


@pytest.mark.slow_check
@pytest.mark.operations("execute")
def test_memory_is_that_of_the_vcpu_and_the_program_is_ended(api: Api, programs: Programs) -> None:
    """2 GB of memory come with each vCPU."""
    program = programs.some("take_memory")
    within = run(api, "execute", program, env={"MOST": "1536"}, vcpu=1, ttl=600)
    assert within["stdout"] == "all of it\n", f"1.5 GB cannot be taken: {within['stderr'][-300:]}"
    result = run(api, "execute", program, env={"MOST": "3072"}, vcpu=1, ttl=600)
    assert (result["success"], result["stdout"]) == (False, "")
    assert ended(api, result["job_id"])["status"] != "timeout"
    assert run(api, "execute", programs.some("nothing"))["success"]


# --- other runs --------------------------------------------------------------------------------


@pytest.mark.operations("execute", "executeAsync")
@pytest.mark.parametrize("role", ["main", "second"])
def test_a_program_sees_nothing_of_one_that_runs(api: Api, programs: Programs, role: str) -> None:
    other, find = api.as_(role), programs.some("find_traces")
    mark = f"contract-{secrets.token_hex(8)}"
    for job_id in begun(api, programs.some("leave_traces"), {"MARK": mark, "STAY": "300"}):
        seen = [found(other, find, mark) for _ in range(3)]
        api.call("cancelJob", {"id": job_id})
        assert seen == [""] * 3
        if ended(api, job_id)["stdout"]:
            return
    raise AssertionError("the program that is looked for never came to leave anything")


@pytest.mark.operations("execute", "getJob")
def test_nothing_outlives_the_ttl(api: Api, programs: Programs) -> None:
    mark, began = f"contract-{secrets.token_hex(8)}", time.monotonic()
    result = run(api, "execute", programs.some("cling"), env={"MARK": mark}, ttl=2)
    assert time.monotonic() - began < SECONDS, "a child was waited for"
    assert result["stdout"].startswith("before\n")
    assert ended(api, result["job_id"])["status"] == "timeout"
    find = programs.some("find_traces")
    for _ in range(4):
        assert found(api, find, mark) == ""
    assert ended(api, result["job_id"])["stdout"] == result["stdout"]


def said(result: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """What a program printed in JSON."""
    assert result["success"], f"exit code {result['exit_code']}: {result['stderr'][:500]}"
    return json.loads(result["stdout"])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
