from emulator.clock import Clock
from emulator.exchange import Exchange
from emulator.journal import Journal, redact


def exchange(number: int = 0, **fields: object) -> Exchange:
    made = Exchange(f"req_{number}", "POST", "/execute", "env=%7B%22A%22%3A%22s3cret%22%7D&ttl=5")
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_the_newest_entries_come_first_and_the_oldest_are_forgotten() -> None:
    journal = Journal(3, Clock())
    for number in range(5):
        journal.record(exchange(number, status=200), 0.001)
    assert [entry["request_id"] for entry in journal.entries(10)] == ["req_4", "req_3", "req_2"]
    assert len(journal.entries(2)) == 2


def test_entries_are_narrowed_by_their_fields() -> None:
    journal = Journal(10, Clock())
    journal.record(exchange(1, status=200), 0.001)
    journal.record(exchange(2, status=401), 0.001)
    assert [entry["request_id"] for entry in journal.entries(10, status=401)] == ["req_2"]


def test_secrets_in_bodies_and_query_strings_are_not_kept() -> None:
    journal = Journal(10, Clock())
    body = {
        "code": "x" * 2000,
        "env": {"TOKEN": "s3cret"},
        "input_files": [{"filename": "a", "content": "czNjcmV0"}],
        "nested": {"Secret_Key": "s3cret"},
    }
    journal.record(exchange(body=body), 0.001)
    (entry,) = journal.entries(1)
    text = str(entry)
    assert "s3cret" not in text
    assert "czNjcmV0" not in text
    assert entry["query_parameters"] == ["env", "ttl"]
    assert len(text) < 2000


def test_redaction_bounds_depth_and_length() -> None:
    deep: object = "end"
    for _ in range(10):
        deep = [deep]
    assert "items" in str(redact(deep))
    assert redact({str(n): n for n in range(100)}) == {str(n): n for n in range(20)}


def test_a_journal_of_size_zero_keeps_nothing() -> None:
    journal = Journal(0, Clock())
    journal.record(exchange(), 0.1)
    assert journal.entries(10) == []
