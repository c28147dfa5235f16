"""openapi.yaml is valid, keeps its own rules, and its examples fit its schemas."""

import copy
import tomllib
from collections.abc import Iterator, Mapping

import jsonschema
import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from emulator.spec import closed
from tests.openapi.breakages import BREAKAGES
from tests.openapi.document import ROOT, SOURCE, Example, Node, examples, load
from tests.openapi.rules import RULES, Rule

URI = "urn:unsandbox:openapi"


@pytest.fixture(scope="module")
def document() -> Node:
    return load()


@pytest.fixture(scope="module")
def validators(document: Node) -> jsonschema_rs.ValidatorMap:
    return jsonschema_rs.validator_map_for(document, validate_formats=True)


@pytest.fixture(scope="module")
def closed_schemas(document: Node) -> jsonschema_rs.ValidatorMap:
    return jsonschema_rs.validator_map_for(closed(document), validate_formats=True)


def test_it_is_valid_openapi_3_1(document: Node) -> None:
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_it_uses_no_anchors() -> None:
    tokens = yaml.scan(SOURCE.read_text())
    assert not [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)]


def test_it_holds_json_values_only(document: Node) -> None:
    assert set(map(type, _leaves(document))) <= {str, int, float, bool}


def _leaves(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        assert all(isinstance(key, str) for key in node)
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value)
    else:
        yield node


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_rule(document: Node, rule: Rule) -> None:
    assert list(rule(document)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_notices_its_fault(document: Node, rule: Rule) -> None:
    broken = copy.deepcopy(document)
    BREAKAGES[rule.__name__](broken)
    assert list(rule(broken))


def test_every_fault_belongs_to_a_rule() -> None:
    assert BREAKAGES.keys() == {rule.__name__ for rule in RULES}


def test_every_example_fits_its_schema(
    document: Node, validators: jsonschema_rs.ValidatorMap
) -> None:
    assert _misfits(validators, examples(document)) == []


def test_a_second_validator_agrees_on_every_example(document: Node) -> None:
    resource = DRAFT202012.create_resource(document)
    registry: Registry[bool | Mapping[str, object]] = Registry().with_resource(URI, resource)
    for example in examples(document):
        validator = jsonschema.Draft202012Validator(
            {"$ref": URI + example.schema},
            registry=registry,
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )
        assert validator.is_valid(example.value), example.where


def test_responses_show_declared_properties_only(
    document: Node, closed_schemas: jsonschema_rs.ValidatorMap
) -> None:
    responses = [example for example in examples(document) if example.is_response]
    assert len(responses) > 100
    assert _misfits(closed_schemas, responses) == []


def test_the_closed_form_refuses_what_the_file_allows(
    validators: jsonschema_rs.ValidatorMap, closed_schemas: jsonschema_rs.ValidatorMap
) -> None:
    path = "#/components/schemas/"
    frozen = {"status": "frozen", "surprise": 1}
    listed = {"jobs": [], "count": 0, "surprise": 1}
    for name, value in {"SessionFrozen": frozen, "JobListing": listed}.items():
        assert validators[path + name].is_valid(value)
        assert not closed_schemas[path + name].is_valid(value)


def _misfits(
    validators: jsonschema_rs.ValidatorMap, shown: Iterator[Example] | list[Example]
) -> list[str]:
    return [
        f"{example.where}: {error.message}"
        for example in shown
        for error in validators[example.schema].iter_errors(example.value)
    ]


FILE = {"filename": "data.csv", "content": "YQ=="}
HELLO = {"language": "python", "code": "print(1)"}
LIMITS = [
    ("ExecuteRequest", HELLO, True),
    ("ExecuteRequest", {**HELLO, "anything": None}, True),
    ("ExecuteRequest", {**HELLO, "code": ""}, True),
    ("ExecuteRequest", {"language": "python"}, False),
    ("ExecuteRequest", {**HELLO, "language": "latin"}, False),
    ("ExecuteRequest", {**HELLO, "language": "c++"}, True),
    ("ExecuteRequest", {**HELLO, "code": 1}, False),
    ("ExecuteRequest", {**HELLO, "ttl": 1}, True),
    ("ExecuteRequest", {**HELLO, "ttl": 900}, True),
    ("ExecuteRequest", {**HELLO, "ttl": 0}, False),
    ("ExecuteRequest", {**HELLO, "ttl": 901}, False),
    ("ExecuteRequest", {**HELLO, "ttl": "60"}, False),
    ("ExecuteRequest", {**HELLO, "vcpu": 8}, True),
    ("ExecuteRequest", {**HELLO, "vcpu": 9}, False),
    ("ExecuteRequest", {**HELLO, "network_mode": "trusted"}, False),
    ("ExecuteRequest", {**HELLO, "return_artifact": "yes"}, False),
    ("ExecuteRequest", {**HELLO, "env": {"_A1": "x"}}, True),
    ("ExecuteRequest", {**HELLO, "env": {"1A": "x"}}, False),
    ("ExecuteRequest", {**HELLO, "env": {"A=B": "x"}}, False),
    ("ExecuteRequest", {**HELLO, "env": {"A": 1}}, False),
    ("ExecuteRequest", {**HELLO, "env": {"A": "\0"}}, False),
    ("ExecuteRequest", {**HELLO, "env": {"A": "x" * 32_001}}, False),
    ("ExecuteRequest", {**HELLO, "input_files": [FILE] * 10}, True),
    ("ExecuteRequest", {**HELLO, "input_files": [FILE] * 11}, False),
    ("InputFile", {**FILE, "filename": "a/b/data.csv"}, True),
    ("InputFile", {**FILE, "filename": ""}, False),
    ("InputFile", {**FILE, "filename": "x" * 256}, False),
    ("InputFile", {**FILE, "filename": "a\0b"}, False),
    ("InputFile", {**FILE, "filename": "a\nb"}, False),
    ("InputFile", {**FILE, "content": "YWJj\nYQ==\n"}, True),
    ("InputFile", {**FILE, "content": "YQ="}, False),
    ("InputFile", {**FILE, "content": "ä==="}, False),
    ("InputFile", {**FILE, "content": "AAAA" * 1_666_667}, True),
    ("InputFile", {**FILE, "content": "AAAA" * 1_666_668}, False),
    ("CreateSessionRequest", {}, True),
    ("CreateSessionRequest", {"ttl": 0}, True),
    ("CreateSessionRequest", {"ttl": -1}, False),
    ("CreateServiceRequest", {"name": "my-app", "ports": [80]}, True),
    ("CreateServiceRequest", {"name": "-app"}, False),
    ("CreateServiceRequest", {"name": "a.b"}, False),
    ("CreateServiceRequest", {"name": "app", "ports": [0]}, False),
    ("CreateServiceRequest", {"name": "app", "custom_domains": ["nodots"]}, False),
    ("ServiceDomainsRequest", {"add": ["a.example.com"]}, True),
    ("ServiceDomainsRequest", {"add": [], "remove": []}, False),
    ("ServiceDomainsRequest", {}, False),
    ("ImageAccessRequest", {"api_key": "unsb-pk-aaaa-bbbb-cccc-dddd"}, True),
    ("ImageAccessRequest", {"api_key": "unsb-sk-aaaa-bbbb-cccc-dddd"}, False),
    ("Job", {"job_id": "a", "status": "running"}, True),
    ("Job", {"job_id": "a", "status": "completed"}, False),
    ("SnapshotClone", {"session_id": "sess_a"}, True),
    ("SnapshotClone", {"service_id": "svc_a"}, False),
]


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    LIMITS,
    ids=[f"{name}-{number}" for number, (name, _, _) in enumerate(LIMITS)],
)
def test_the_limits_are_where_they_are_meant(
    validators: jsonschema_rs.ValidatorMap, name: str, value: object, valid: bool
) -> None:
    assert validators[f"#/components/schemas/{name}"].is_valid(value) is valid


def test_the_languages_are_those_of_the_runtimes(document: Node) -> None:
    schemas = document["components"]["schemas"]
    runtimes = [tomllib.loads(path.read_text()) for path in ROOT.glob("runtimes/*/runtime.toml")]
    names = {path.parent.name for path in ROOT.glob("runtimes/*/runtime.toml")}
    aliases = {alias for runtime in runtimes for alias in runtime["aliases"]}
    assert set(schemas["LanguageName"]["enum"]) == names
    assert set(schemas["Language"]["enum"]) == names | aliases


def test_the_shells_are_those_of_the_shell_image(document: Node) -> None:
    shells = tomllib.loads((ROOT / "runtimes/shell/shells.toml").read_text())["shells"]
    aliases = {alias for shell in shells.values() for alias in shell.get("aliases", ())}
    assert set(document["components"]["schemas"]["ShellName"]["enum"]) == set(shells) | aliases
