"""The rules of openapi.yaml: each reads the document and tells what breaks it."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from tests.openapi.document import (
    KINDS,
    Node,
    Operation,
    contract,
    operations,
    resolve,
    walk,
)
from tests.openapi.inventory import CREATES, INVENTORY, PUBLIC, UNPROVIDED

Rule = Callable[[Node], Iterator[str]]
RULES: list[Rule] = []

SOURCES = {"docs", "spec", "sdk", "emulator"}
FLAGS = {"destructive", "costs", "sudo", "slow", "network"}
SIGNED: dict[str, list[str]] = {"publicKey": [], "timestamp": [], "signature": []}
RATE_HEADERS = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
BEFORE_AUTHENTICATION = {"401", "413", "421", "426"}
SUDO_HEADERS = {"X-Sudo-OTP", "X-Sudo-Challenge"}
REFINEMENT = {"$ref", "description", "required", "properties", "if", "then", "default"}


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


@rule
def the_operations_are_those_of_the_inventory(document: Node) -> Iterator[str]:
    declared = {(op.method.upper(), op.path) for op in operations(document)}
    yield from (f"{pair} is not in the inventory" for pair in declared - INVENTORY)
    yield from (f"{pair} is not in the document" for pair in INVENTORY - declared)


@rule
def operation_ids_are_unique_and_camel_case(document: Node) -> Iterator[str]:
    for name, count in Counter(op.id for op in operations(document)).items():
        if count > 1 or not re.fullmatch(r"[a-z]+([A-Z][a-z]*)*", name):
            yield f"{name} stands {count} times"


@rule
def every_operation_has_a_known_tag_and_a_summary(document: Node) -> Iterator[str]:
    known = {tag["name"] for tag in document["tags"]}
    for op in operations(document):
        tags = op.source.get("tags", [])
        if len(tags) != 1 or tags[0] not in known or not op.source.get("summary"):
            yield op.id


@rule
def paths_stand_in_the_order_of_the_tags(document: Node) -> Iterator[str]:
    names = [tag["name"] for tag in document["tags"]]
    order = [names.index(op.source["tags"][0]) for op in operations(document)]
    if order != sorted(order):
        yield str(order)


@rule
def every_operation_names_its_source(document: Node) -> Iterator[str]:
    yield from (op.id for op in operations(document) if op.source.get("x-source") not in SOURCES)


@rule
def every_operation_has_a_complete_contract(document: Node) -> Iterator[str]:
    for op in operations(document):
        told = dict(op.source.get("x-contract", {}))
        if told.pop("tier", None) not in {"free", "paid"}:
            yield f"{op.id}: tier"
        if told.keys() != FLAGS or not all(isinstance(flag, bool) for flag in told.values()):
            yield f"{op.id}: {told}"


@rule
def sudo_comes_with_its_challenge_and_headers(document: Node) -> Iterator[str]:
    for op in operations(document):
        headers = {p["name"] for p in op.parameters} & SUDO_HEADERS
        expected = SUDO_HEADERS if op.source["x-contract"]["sudo"] else set()
        if headers != expected or ("428" in op.responses) != bool(expected):
            yield op.id


@rule
def an_alias_is_deprecated_and_keeps_the_contract_of_its_target(document: Node) -> Iterator[str]:
    by_id = {op.id: op for op in operations(document)}
    for op in by_id.values():
        alias = op.source.get("x-alias-of")
        if (alias is not None) != op.source.get("deprecated", False):
            yield f"{op.id} is deprecated and no alias, or an alias and not deprecated"
        if alias is None:
            continue
        target = by_id.get(alias)
        if target is None or "x-alias-of" in target.source:
            yield f"{op.id} is an alias of {alias}"
        elif op.source["x-contract"] != target.source["x-contract"]:
            yield f"{op.id} has another contract than {alias}"


@rule
def security_is_explicit(document: Node) -> Iterator[str]:
    for op in operations(document):
        expected: list[object] = [] if op.id in PUBLIC else [SIGNED]
        if "101" in op.responses:
            expected.append({})
        if op.source.get("security") != expected:
            yield op.id


@rule
def every_error_is_the_envelope(document: Node) -> Iterator[str]:
    for op in operations(document):
        for status, response in op.responses.items():
            if status < "400":
                continue
            schema = resolve(document, response["content"]["application/json"]["schema"])
            if not {"error", "code", "details"} <= set(schema["required"]):
                yield f"{op.id} {status}"


@rule
def every_status_that_must_be_possible_is_declared(document: Node) -> Iterator[str]:
    for op in operations(document):
        missing = _expected_statuses(op) - op.responses.keys()
        yield from (f"{op.id} {status}" for status in sorted(missing))


def _expected_statuses(op: Operation) -> set[str]:
    expected = {"403", "421", "500"}
    if op.is_signed:
        expected |= {"401", "429"}
    if op.body:
        expected |= {"413", "415"}
    if op.body or op.parameters:
        expected.add("400")
    if any(p["in"] == "path" for p in op.parameters):
        expected.add("404")
    return expected


@rule
def every_operation_has_a_success(document: Node) -> Iterator[str]:
    for op in operations(document):
        if bool(op.successes) == (op.id in UNPROVIDED):
            yield op.id
        if op.id in UNPROVIDED and "501" not in op.responses:
            yield f"{op.id} lacks its 501"


@rule
def answers_to_signed_requests_tell_the_rate_limit(document: Node) -> Iterator[str]:
    for op in operations(document):
        for status, response in op.responses.items():
            if not op.is_signed or status in BEFORE_AUTHENTICATION | {"101"}:
                continue
            if not response["headers"].keys() >= RATE_HEADERS:
                yield f"{op.id} {status}"


@rule
def every_answer_carries_the_request_id(document: Node) -> Iterator[str]:
    for op in operations(document):
        for status, response in op.responses.items():
            if "X-Request-Id" not in response.get("headers", {}):
                yield f"{op.id} {status}"


@rule
def links_lead_to_operations_and_their_parameters(document: Node) -> Iterator[str]:
    targets = {op.id: op for op in operations(document)}
    for op in operations(document):
        for response in op.successes.values():
            for name, node in response.get("links", {}).items():
                link = resolve(document, node)
                target = targets.get(link["operationId"])
                if target is None or name != target.id:
                    yield f"{op.id}: {name} leads nowhere"
                    continue
                required = {p["name"] for p in target.parameters if p.get("required")}
                if set(link["parameters"]) != required:
                    yield f"{op.id}: {name} gives {set(link['parameters'])}, not {required}"
                yield from _unknown_fields(document, op, response, link)


def _unknown_fields(document: Node, op: Operation, response: Node, link: Node) -> Iterator[str]:
    schema = resolve(document, response["content"]["application/json"]["schema"])
    for expression in link["parameters"].values():
        field = expression.removeprefix("$response.body#/")
        if field != expression and field not in schema["properties"]:
            yield f"{op.id}: {expression} is not in its response"


@rule
def what_is_created_links_to_all_that_can_be_done_with_it(document: Node) -> Iterator[str]:
    for op in operations(document):
        prefixes = tuple(f"{collection}/{{id}}" for collection in CREATES.get(op.id, []))
        expected = {to.id for to in operations(document) if to.path.startswith(prefixes)}
        for status, response in op.successes.items():
            missing = expected - response.get("links", {}).keys()
            yield from (f"{op.id} {status}: {name}" for name in sorted(missing))


@rule
def path_parameters_are_declared(document: Node) -> Iterator[str]:
    for op in operations(document):
        declared = [p["name"] for p in op.parameters if p["in"] == "path" and p["required"]]
        if sorted(declared) != sorted(re.findall(r"{(\w+)}", op.path)):
            yield f"{op.method} {op.path}"


@rule
def bodies_refer_to_component_schemas(document: Node) -> Iterator[str]:
    for pointer, node in walk(document):
        if "/content/" in pointer and "schema" in node and "$ref" not in node["schema"]:
            yield pointer


@rule
def objects_are_defined_at_the_top_of_components_only(document: Node) -> Iterator[str]:
    for pointer, node in contract(document):
        is_top = re.fullmatch(r"#/components/schemas/\w+", pointer)
        if "properties" in node and not is_top and not re.search(r"/(if|properties)$", pointer):
            yield pointer


@rule
def a_refinement_adds_no_properties(document: Node) -> Iterator[str]:
    for pointer, node in contract(document["components"]["schemas"]):
        if "$ref" not in node:
            continue
        declared = resolve(document, node).get("properties", {})
        if not set(node) <= REFINEMENT or not set(node.get("properties", {})) <= set(declared):
            yield pointer


@rule
def keywords_that_tools_stumble_over_are_absent(document: Node) -> Iterator[str]:
    avoided = {"prefixItems", "nullable", "allOf", "unevaluatedProperties", "$defs", "$dynamicRef"}
    for pointer, node in contract(document["components"]["schemas"]):
        yield from (f"{pointer}: {keyword}" for keyword in avoided & set(node))


@rule
def schemas_are_open(document: Node) -> Iterator[str]:
    for pointer, node in contract(document):
        if node.get("additionalProperties") is False:
            yield pointer


@rule
def numbers_are_bounded(document: Node) -> Iterator[str]:
    for pointer, node in contract(document):
        bounded = {"minimum", "maximum"} <= set(node)
        if node.get("type") in ("integer", "number") and not bounded:
            yield pointer


@rule
def texts_in_requests_are_bounded(document: Node) -> Iterator[str]:
    for op in operations(document):
        for media in op.body.values():
            for pointer, node in _reachable(document, media["schema"]):
                if node.get("type") == "string" and not {"maxLength", "enum", "pattern"} & set(
                    node
                ):
                    yield f"{op.id}: {pointer}"
                if node.get("type") == "array" and "maxItems" not in node:
                    yield f"{op.id}: {pointer}"


@rule
def list_objects_have_a_count(document: Node) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("List") and "count" not in schema["properties"]:
            yield name


@rule
def items_that_clients_read_line_by_line_are_flat(document: Node) -> Iterator[str]:
    schemas = document["components"]["schemas"]
    for name in ("SessionDetail", "ImageSummary"):
        for field, node in resolve(document, schemas[name])["properties"].items():
            if resolve(document, node)["type"] in {"array", "object"}:
                yield f"{name}.{field}"


@rule
def no_response_says_timestamp(document: Node) -> Iterator[str]:
    for op in operations(document):
        for response in op.responses.values():
            for media in response.get("content", {}).values():
                for pointer, node in _reachable(document, media["schema"]):
                    if any("timestamp" in name.lower() for name in node.get("properties", {})):
                        yield f"{op.id}: {pointer}"


def _reachable(document: Node, schema: Node) -> Iterator[tuple[str, Node]]:
    """The schema and all that it refers to, each once."""
    seen: set[str] = set()
    waiting = [("", schema)]
    while waiting:
        where, node = waiting.pop()
        for pointer, part in walk(node, where):
            yield pointer, part
            name = part.get("$ref")
            if isinstance(name, str) and name not in seen:
                seen.add(name)
                target = name.rsplit("/", 1)[1]
                waiting.append((name, document["components"]["schemas"][target]))


@rule
def bodies_have_examples(document: Node) -> Iterator[str]:
    for pointer, node in walk(document):
        if "/content/" in pointer and "schema" in node and not node.get("examples"):
            yield pointer


@rule
def references_resolve(document: Node) -> Iterator[str]:
    for pointer, node in walk(document):
        if "$ref" in node:
            try:
                resolve(document, node)
            except KeyError:
                yield f"{pointer}: {node['$ref']}"


@rule
def every_component_is_used(document: Node) -> Iterator[str]:
    used = {node["$ref"] for _, node in walk(document) if "$ref" in node}
    for kind in KINDS:
        for name in document["components"][kind]:
            if f"#/components/{kind}/{name}" not in used:
                yield f"{kind}/{name}"
