"""Names of services lead to one address; all others are asked for elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET, SOCK_DGRAM, socket

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest

from emulator.exec.nameserver import answering
from emulator.settings import SettingError

ADDRESS, ELSEWHERE, NOWHERE = "127.51.7.1", "127.51.7.2", "127.51.7.3"


@contextmanager
def another() -> Iterator[list[str]]:
    """A name server that knows one address for everything; yields the names it was asked for."""
    asked: list[str] = []
    with socket(AF_INET, SOCK_DGRAM) as own:
        own.bind((ELSEWHERE, 53))

        def serve() -> None:
            while (received := own.recvfrom(4096))[0] != b"end":
                query = dns.message.from_wire(received[0])
                name = query.question[0].name
                asked.append(name.to_text())
                answer = dns.message.make_response(query)
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.9"))
                own.sendto(answer.to_wire(), received[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            own.sendto(b"end", (ELSEWHERE, 53))
            thread.join()


def ask(name: str, kind: str = "A", *, over_tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    how = dns.query.tcp if over_tcp else dns.query.udp
    return how(query, ADDRESS, timeout=20)


@pytest.mark.parametrize("over_tcp", [False, True], ids=["udp", "tcp"])
def test_names_of_services_lead_to_its_own_address(over_tcp: bool) -> None:
    with another() as asked, answering(ADDRESS, [ELSEWHERE]):
        found = ask("Shop--81.ON.unsandbox.com", over_tcp=over_tcp)
        (record,) = found.answer[0]
        assert (str(record), found.rcode()) == (ADDRESS, dns.rcode.NOERROR)
        other = ask("shop.on.unsandbox.com", "AAAA", over_tcp=over_tcp)
        assert (other.answer, other.rcode()) == ([], dns.rcode.NOERROR)
        assert asked == []


def test_other_names_are_what_the_machine_s_name_servers_say() -> None:
    with another() as asked, answering(ADDRESS, [ELSEWHERE]):
        for name in ("example.org", "unsandbox.com", "on.unsandbox.com.example"):
            (record,) = ask(name).answer[0]
            assert str(record) == "192.0.2.9"
        assert asked == ["example.org.", "unsandbox.com.", "on.unsandbox.com.example."]


def test_the_next_one_is_asked_where_one_does_not_answer() -> None:
    with another(), answering(ADDRESS, [NOWHERE, ELSEWHERE]):
        assert ask("example.org").answer


def test_where_nobody_answers_that_is_said() -> None:
    with answering(ADDRESS, [NOWHERE]):
        assert ask("example.org").rcode() == dns.rcode.SERVFAIL
        assert ask("shop.on.unsandbox.com").answer


def test_what_is_no_question_gets_no_answer() -> None:
    with answering(ADDRESS, []), socket(AF_INET, SOCK_DGRAM) as sender:
        sender.settimeout(20)
        sender.connect((ADDRESS, 53))
        sender.send(b"\0" * 5)
        reply = dns.message.make_query("example.org", "A")
        reply.flags |= dns.flags.QR
        sender.send(reply.to_wire())
        question = dns.message.make_query("shop.on.unsandbox.com", "A")
        sender.send(question.to_wire())
        assert dns.message.from_wire(sender.recv(4096)).id == question.id


def test_a_port_that_is_taken_is_told() -> None:
    with (
        answering(ADDRESS, []),
        pytest.raises(SettingError, match=r"names below on\.unsandbox\.com lead to the cloud"),
        answering(ADDRESS, []),
    ):
        pass
