"""One fault for every rule: a rule that lets its own fault pass would be no rule."""

from collections.abc import Callable

from tests.openapi.document import Node


def _operation(document: Node, path: str, method: str) -> Node:
    operation: Node = document["paths"][path][method]
    return operation


def _execute(document: Node) -> Node:
    return _operation(document, "/execute", "post")


def _schema(document: Node, name: str) -> Node:
    schema: Node = document["components"]["schemas"][name]
    return schema


def _response(document: Node, name: str) -> Node:
    response: Node = document["components"]["responses"][name]
    return response


def _execute_response(document: Node) -> Node:
    response: Node = _execute(document)["responses"]["200"]
    return response


BREAKAGES: dict[str, Callable[[Node], object]] = {
    "the_operations_are_those_of_the_inventory": lambda d: d["paths"].pop("/image"),
    "operation_ids_are_unique_and_camel_case": lambda d: _execute(d).update(operationId="run"),
    "every_operation_has_a_known_tag_and_a_summary": lambda d: _execute(d).update(tags=["Other"]),
    "paths_stand_in_the_order_of_the_tags": lambda d: _execute(d).update(tags=["Logs"]),
    "every_operation_names_its_source": lambda d: _execute(d).pop("x-source"),
    "every_operation_has_a_complete_contract": lambda d: _execute(d)["x-contract"].pop("slow"),
    "sudo_comes_with_its_challenge_and_headers": lambda d: _operation(d, "/images/{id}", "delete")[
        "responses"
    ].pop("428"),
    "an_alias_is_deprecated_and_keeps_the_contract_of_its_target": lambda d: _operation(
        d, "/jobs/{id}/cancel", "post"
    ).pop("deprecated"),
    "security_is_explicit": lambda d: _execute(d).update(security=[]),
    "every_error_is_the_envelope": lambda d: _schema(d, "LimitError")["required"].remove("code"),
    "every_status_that_must_be_possible_is_declared": lambda d: _execute(d)["responses"].pop("413"),
    "every_operation_has_a_success": lambda d: _execute(d)["responses"].pop("200"),
    "answers_to_signed_requests_tell_the_rate_limit": lambda d: _execute_response(d)["headers"].pop(
        "X-RateLimit-Reset"
    ),
    "every_answer_carries_the_request_id": lambda d: _response(d, "NotFound")["headers"].pop(
        "X-Request-Id"
    ),
    "links_lead_to_operations_and_their_parameters": lambda d: d["components"]["links"]["getJob"][
        "parameters"
    ].update(id="$response.body#/number"),
    "what_is_created_links_to_all_that_can_be_done_with_it": lambda d: _execute_response(d)[
        "links"
    ].pop("waitJob"),
    "path_parameters_are_declared": lambda d: d["paths"]["/jobs/{id}"].pop("parameters"),
    "bodies_refer_to_component_schemas": lambda d: _execute_response(d)["content"][
        "application/json"
    ].update(schema={"type": "object"}),
    "objects_are_defined_at_the_top_of_components_only": lambda d: _schema(d, "Error")[
        "properties"
    ].update(extra={"type": "object", "properties": {}}),
    "a_refinement_adds_no_properties": lambda d: _schema(d, "SessionFrozen")["properties"].update(
        extra={"type": "string"}
    ),
    "keywords_that_tools_stumble_over_are_absent": lambda d: _schema(d, "JobArray").update(
        prefixItems=[]
    ),
    "schemas_are_open": lambda d: _schema(d, "Error").update(additionalProperties=False),
    "numbers_are_bounded": lambda d: _schema(d, "Count").pop("maximum"),
    "texts_in_requests_are_bounded": lambda d: _schema(d, "Code").pop("maxLength"),
    "list_objects_have_a_count": lambda d: _schema(d, "ImageList")["properties"].pop("count"),
    "items_that_clients_read_line_by_line_are_flat": lambda d: _schema(d, "Session")[
        "properties"
    ].update(tags={"type": "array"}),
    "no_response_says_timestamp": lambda d: _schema(d, "PaasLogLine")["properties"].update(
        timestamp={"type": "string"}
    ),
    "bodies_have_examples": lambda d: _execute_response(d)["content"]["application/json"].pop(
        "examples"
    ),
    "references_resolve": lambda d: d["components"]["schemas"].pop("Session"),
    "every_component_is_used": lambda d: d["components"]["schemas"].update(Spare={"type": "null"}),
}
