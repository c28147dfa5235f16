"""The forms of a report: whole, valid, and harmless whatever the server said."""

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from contract.deviations import Deviations
from contract.report.as_json import SCHEMA
from contract.report.terminal import summary
from tests.contract.reports import (
    answers,
    every_success,
    header_of,
    matrix_of,
    result,
    written,
)

COUNTED = len(matrix_of().rows)
"""Operations that a report counts."""

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e]]>&amp;\0\"'\nimport os; os.abort()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report of every outcome, on a hostile server."""
    step = {
        "at": 1.0,
        "operation": "execute",
        "account": "main",
        "probe": False,
        "method": "POST",
        "target": "/execute",
        "request_headers": [["X-A", HOSTILE]],
        "request_body": HOSTILE,
        "status": 200,
        "response_headers": [["X-B", HOSTILE]],
        "response_body": HOSTILE,
        "ordinary": True,
        "uses": {HOSTILE: [0, "/x"]},
    }
    matrix = matrix_of(
        *every_success()[5:],
        answers("execute", 200, 3),
        result("execute", "failed", HOSTILE, "every answer: schema", trail=[step]),
        result("getJob", "failed", HOSTILE),
        result("run", "not run", f"out of budget {HOSTILE}"),
        result("getSession", "unsupported", "501"),
        result("", "passed"),
        deviations=Deviations(),
    )
    return written(tmp_path, matrix)


class Page(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = list[str]()
        self.attributes = list[tuple[str, str | None]]()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def page(folder: Path) -> Page:
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_the_page_runs_and_loads_nothing(folder: Path) -> None:
    found = page(folder)
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(found.tags)
    names = {name for name, _ in found.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "style")}
    hrefs = [value or "" for name, value in found.attributes if name == "href"]
    assert all(value.startswith("#") for value in hrefs)
    ids = {value for name, value in found.attributes if name == "id"}
    assert {value.removeprefix("#") for value in hrefs} <= ids


def test_the_page_forbids_what_it_does_not_have(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_what_the_server_said_is_shown_as_text_that_does_nothing(folder: Path) -> None:
    text = page(folder).text
    assert "<script>alert(1)</script>\\x1b[2J\\u202e" in text
    assert not set("\x1b\u202e\0") & set(text)


def test_the_page_tells_what_was_left_out_and_which_statuses_came(folder: Path) -> None:
    text = page(folder).text
    assert "Statuses seen: 200 (3)" in text
    assert "Documented, never seen: 400, 401" in text
    assert "out of budget" in text
    assert "unsupported" in text
    assert "no success seen" in text


def test_the_json_is_as_its_schema_says(folder: Path) -> None:
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert document["kept"] is False
    assert document["checks"]["not run"] == 1
    assert document["operations"]["execute"]["seen"] == {"200": 3}


def test_junit_tells_failures_and_skips_with_their_reasons(folder: Path) -> None:
    root = ET.parse(folder / "junit.xml").getroot()  # noqa: S314 - our own
    failed = {
        (case.get("classname"), case.get("name"))
        for case in root.iter("testcase")
        if case.find("failure") is not None
    }
    assert ("every answer.schema", "execute") in failed
    assert ("semantics.it does", "getJob") in failed
    assert ("evidence", "runAsync") in failed
    skipped = [it.get("message", "") for it in root.iter("skipped")]
    assert any(it.startswith("not run: out of budget") for it in skipped)
    assert "unsupported: 501" in skipped
    (text,) = [it.text or "" for it in root.iterfind("testsuite/testcase[@name='getJob']/failure")]
    assert "unsandbox-contract replay" in text


def test_the_files_that_reproduce_are_python_that_holds_the_servers_words_as_text(
    folder: Path,
) -> None:
    for name in ("test_001.py", "test_002.py"):
        source = (folder / "failures" / name).read_text(encoding="utf-8")
        compile(source, name, "exec")
        assert "\nimport os" not in source
        assert source.isascii()
        assert source.replace("\n", "").isprintable()


def test_an_earlier_reports_failures_go_and_nothing_else(folder: Path) -> None:
    other = folder / "failures" / "notes.txt"
    other.write_text("mine")
    written(folder, matrix_of(*every_success()))
    assert [it.name for it in (folder / "failures").iterdir()] == ["notes.txt"]


def test_the_badge_is_green_for_all_of_the_contract_alone(tmp_path: Path) -> None:
    def colour(*events: dict[str, object], part: Collection[str] | None = None) -> str:
        return badge(written(tmp_path, matrix_of(*events, part=part)))["color"]

    assert colour(*every_success()) == "brightgreen"
    assert colour(*every_success(), part=()) == "yellow"
    less = [it for it in every_success() if it["operation"] != "getJob"]
    assert colour(*less, answers("getJob", 501)) == "yellow"
    assert colour(*less) == "red"


def badge(folder: Path) -> dict[str, str]:
    ET.parse(folder / "badge.svg")  # noqa: S314 - our own
    found: dict[str, str] = json.loads((folder / "badge.json").read_text(encoding="utf-8"))
    return found


SEEN = [
    answers("getJob", 200),
    answers("generateImage", 501),
    answers("execute", 400),
    result("getJob", "passed"),
]
"""A success, an operation that documents none, and one without."""


@pytest.mark.parametrize(
    ("part", "counted", "told"),
    [
        ([], 3, "1 no success seen, 1 documents no success, 1 proven"),
        (["getJob", "generateImage"], 2, "1 documents no success, 1 proven"),
    ],
)
def test_every_form_of_a_part_counts_the_operations_that_it_asked_for(
    part: list[str], counted: int, told: str, tmp_path: Path
) -> None:
    matrix = matrix_of(*SEEN, part=part)
    text = summary(header_of(whole=False), matrix, matrix.verdict(whole=False), None)
    assert f"operations: {counted} asked for: {told}\n" in text
    found = page(written(tmp_path, matrix)).text
    assert f"1 of {counted} operations that were asked for are proven" in found
    assert f"Operations: {counted} asked for, of {COUNTED}" in found
    assert badge(tmp_path)["message"] == f"kept by 1 of {counted} operations asked for"
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert sum(document["standings"].values()) == counted
    assert set(document["operations"]) == {"getJob", "generateImage", "execute"}
    evidence = ET.parse(tmp_path / "junit.xml").find("testsuite[@name='evidence']")  # noqa: S314
    assert evidence is not None
    assert evidence.get("tests") == str(counted)


def test_the_badge_of_a_whole_run_has_the_number_of_the_page(tmp_path: Path) -> None:
    lacked = [
        it if it["operation"] != "getJob" else answers("getJob", 501) for it in every_success()
    ]
    proven = COUNTED - 2  # and one documents no success
    written(tmp_path, matrix_of(*lacked))
    assert badge(tmp_path)["message"] == f"kept by {proven} of {COUNTED} operations"
    assert f"{proven} of {COUNTED} operations are proven; 1 unsupported" in page(tmp_path).text


def test_a_run_that_checked_nothing_is_no_pass_in_any_form(tmp_path: Path) -> None:
    passed = result("", "passed", check="limits: it does")
    matrix = matrix_of(answers("getJob", 501), passed, part=["getJob"])
    text = summary(header_of(whole=False), matrix, matrix.verdict(whole=False), None)
    assert "The contract is not judged: nothing was checked" in text
    written(tmp_path, matrix)
    assert badge(tmp_path)["message"] == "nothing checked"
    assert "not judged: nothing was checked" in page(tmp_path).text
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    told = "nothing was checked: the operations that were asked for are unsupported"
    assert (document["kept"], document["reasons"]) == (False, [told])
