"""Faults that the suite has to notice: the table, the proxy, and some hunts for real."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
import uvicorn

from contract import cli
from contract.mutants.hunt import Hunt
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import admitting, request_document
from contract.mutants.proxy import Receive, Scope, Send
from contract.mutants.serving import Stage
from contract.mutants.table import MUTANTS
from contract.mutants.traffic import Build
from contract.mutants.verdict import Fate, is_good
from contract.preflight import COULD_NOT_RUN
from contract.signing import signed_headers
from contract.spec import SPEC, loaded
from contract.target import Target, resolve
from tests.contract.runs import faulty
from tests.server import Server

FAMILIES = (
    *("operations", "workflows", "authentication", "tenancy", "sudo", "limits", "semantics"),
    *("languages", "isolation", "lifecycle", "shell", "streams"),
)
ECHO = '{"language":"bash","code":"echo $WORD","env":{"WORD":"given"}}'


def test_every_fault_is_told_in_a_sentence_and_belongs_to_a_class_and_a_family() -> None:
    assert len(MUTANTS) >= 60
    for mutant in MUTANTS.values():
        assert mutant.family in FAMILIES, mutant.name
        assert mutant.fault.endswith((".", ")."))
        assert set(mutant.operations) <= set(loaded(SPEC).operations), mutant.name
    assert {mutant.kind for mutant in MUTANTS.values()} == set(Kind)


def test_no_two_mutants_share_a_name_or_a_sentence() -> None:
    faults = [(mutant.fault, mutant.operations) for mutant in MUTANTS.values()]
    assert len(set(faults)) == len(MUTANTS)


def test_each_canonical_operation_is_named_by_a_mutant() -> None:
    canonical = {
        operation.id
        for operation in loaded(SPEC).operations.values()
        if not operation.alias_of and not operation.is_extension
    }
    named = {
        name for mutant in MUTANTS.values() if not mutant.equivalent for name in mutant.operations
    }
    assert canonical - named == set()


@dataclass
class Origin:
    """A server that keeps what comes, and answers in a way of its own."""

    came: list[tuple[str, bytes, bytes, list[tuple[bytes, bytes]], bytes]] = field(
        default_factory=list
    )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        self.came.append(
            (scope["method"], scope["raw_path"], scope["query_string"], scope["headers"], body)
        )
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-encoding", b"x")]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(range(256))})


@contextmanager
def serving(origin: Origin) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(origin, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_a_healthy_proxy_changes_no_byte_either_way() -> None:
    origin = Origin()
    target = "/jobs/a%2Fb%20c/%C3%A9?x=%2b&&y"
    with (
        serving(origin) as inner,
        Stage.opened(Target("origin", inner, real=False), loaded(SPEC)) as stage,
        stage.serving() as url,
    ):
        sent = httpx.URL(url).copy_with(raw_path=target.encode())
        headers = [("X-Twice", "1"), ("X-Twice", "2"), ("Authorization", "Bearer odd value")]
        request = httpx.Request("PATCH", sent, headers=headers, content=b"\x00\xff\r\n")
        with httpx.Client(trust_env=False) as client:
            answer = client.send(request, stream=True)
            raw = b"".join(answer.iter_raw())
    method, path, query, came, body = origin.came[-1]
    assert f"{path.decode()}?{query.decode()}" == target
    assert (method, body) == ("PATCH", b"\x00\xff\r\n")
    assert [value for name, value in came if name == b"x-twice"] == [b"1", b"2"]
    assert (b"authorization", b"Bearer odd value") in came
    assert dict(came)[b"host"] == inner.removeprefix("http://").encode()
    assert (answer.status_code, raw) == (418, bytes(range(256)))
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.fixture(scope="module")
def target(server: Server) -> Target:
    made = resolve(None, server.api)
    return Target(made.name, made.url, False, made.accounts, server.admin, made.sudo_code)


@contextmanager
def client_of(target: Target, build: Build) -> Iterator[httpx.Client]:
    with (
        faulty(target.url, build) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        yield client


def signed(target: Target, body: str, role: str = "main", **changes: str) -> Mapping[str, str]:
    headers = signed_headers(target.accounts[role], "POST", "/execute", body.encode(), time.time())
    return {"Content-Type": "application/json", **headers, **changes}


def test_an_edited_request_is_signed_again_so_that_the_server_takes_it(target: Target) -> None:
    edit = request_document(lambda body: body["env"].update(WORD="changed"))
    with client_of(target, edit) as client:
        answer = client.post("/execute", content=ECHO, headers=signed(target, ECHO))
    assert (answer.status_code, answer.json()["stdout"]) == (200, "changed\n")


def test_a_request_with_a_wrong_signature_stays_refused_when_it_is_edited(target: Target) -> None:
    edit = request_document(lambda body: body["env"].update(WORD="changed"))
    with client_of(target, edit) as client:
        wrong = signed(target, ECHO, **{"X-Signature": "0" * 64})
        assert client.post("/execute", content=ECHO, headers=wrong).status_code == 401


def test_a_key_without_its_scheme_stays_refused_when_the_request_is_edited(target: Target) -> None:
    edit = request_document(lambda body: body["env"].update(WORD="changed"))
    with client_of(target, edit) as client:
        bare = signed(target, ECHO, Authorization=target.accounts["main"].public_key)
        assert client.post("/execute", content=ECHO, headers=bare).status_code == 401


def test_a_fault_of_authentication_lets_in_whom_the_server_would_refuse(target: Target) -> None:
    wrong = signed(target, ECHO, **{"X-Signature": "0" * 64})
    with client_of(target, admitting(lambda _call: True)) as client:
        assert client.post("/execute", content=ECHO, headers=wrong).status_code == 200
    with client_of(target, admitting(lambda _call: False)) as client:
        assert client.post("/execute", content=ECHO, headers=wrong).status_code == 401


def hunt(target: Target) -> Hunt:
    return Hunt(target, loaded(SPEC), ["operations"], 1, 2, print, whole=False)


def test_faults_of_several_classes_are_noticed_and_an_equivalent_is_not(target: Target) -> None:
    lacking = Mutant("lacking", "It is gone.", Kind.STATE, "operations", ("listSnapshots",))
    at_health = ("getHealth",)
    struck = {"operation": "getHealth", "status": 500}
    hunting = hunt(target)
    verdicts = hunting.run(
        [
            replace(MUTANTS["always-501"], seen_at=at_health),
            MUTANTS["health-is-up"],
            Mutant("struck", "It is down.", Kind.STATUS, "operations", at_health, rule=struck),
            replace(MUTANTS["header-added"], seen_at=at_health),
            lacking,
        ]
    )
    assert all(control.passed for control in hunting.controls)
    fates = [verdict.fate for verdict in verdicts]
    assert fates == [*[Fate.KILLED] * 3, Fate.SURVIVED, Fate.NOT_RUN]
    assert verdicts[-1].reason.startswith("unsupported")
    assert is_good(verdicts)


def test_a_fault_that_nobody_notices_is_told(target: Target) -> None:
    unseen = Mutant("unseen", "Nothing is wrong.", Kind.STATE, "operations", ("getHealth",))
    (verdict,) = hunt(target).run([unseen])
    assert verdict.fate is Fate.SURVIVED
    assert not is_good([verdict])


def test_a_fault_that_no_check_looks_for_has_not_survived(target: Target) -> None:
    unwatched = Mutant(
        "unwatched",
        "Nobody looks.",
        Kind.STATE,
        "operations",
        ("getHealth",),
        check="of_this_name_is_no_check",
        equivalent="It would be, if it had been looked at.",
    )
    (verdict,) = hunt(target).run([unwatched])
    assert verdict.fate is Fate.NOT_RUN
    assert "no check" in verdict.reason
    assert not is_good([verdict])


def test_faults_are_not_put_in_front_of_a_real_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mutants", "--url", "https://api.unsandbox.com"]) == COULD_NOT_RUN
    assert "real" in capsys.readouterr().err


def test_a_control_surface_of_the_real_service_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    admin = ["--admin", "https://api.unsandbox.com"]
    assert cli.main(["mutants", "--url", "http://127.0.0.1:1", *admin]) == COULD_NOT_RUN
    assert "admin is the address" in capsys.readouterr().err


def test_mutants_of_which_none_can_be_judged_prove_nothing(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    some = ["--only", "struck-503"]  # it takes a control surface, and none is named
    assert cli.main(["mutants", "--url", target.url, *some, "--jobs", "1"]) == COULD_NOT_RUN
    assert "no mutant could be judged" in capsys.readouterr().err
