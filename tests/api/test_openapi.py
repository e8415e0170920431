"""The OpenAPI document: sound, complete, and true of real answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.main import create_app
from api.problems import MEDIA_TYPE, PROBLEMS
from api.security.guard import OPEN_PATHS, scope_needed
from lake.tables.anomalies import TRANSACTION_ANOMALIES
from tests.api.front import Caller, lake_in, publish_rows, reader, settings_in
from tests.api.test_reading import ROWS

PROJECT = Path(__file__).resolve().parents[2]
METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("openapi")
    answer = reader(folder).get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def resolver(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema inside the document."""
    return Draft202012Validator({**schema, "components": document["components"]})


def examples(content: dict[str, Any]) -> list[Any]:
    return [content["example"]] if "example" in content else [e["value"] for e in content.get("examples", {}).values()]


def test_the_document_lists_the_whole_service(document: dict[str, Any]) -> None:
    assert sorted(f"{method.upper()} {path}" for method, path, _ in operations(document)) == [
        "GET /api/v1/anomalies",
        "GET /api/v1/kpis/{mart}",
        "GET /api/v1/tables",
        "GET /api/v1/transactions/{transaction_id}",
        "GET /health",
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "POST /api/v1/ingest",
        "POST /api/v1/ingest/batch",
    ]
    assert document["openapi"].startswith("3.1")
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [r for value in node.values() for r in references(value)]
        return [r for value in node for r in references(value)] if isinstance(node, list) else []

    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema), name


def test_every_operation_says_what_it_is_and_shows_an_example_of_every_answer(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        name = f"{method} {path}"
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            for media, content in answer["content"].items():
                shown = examples(content)
                assert shown, (name, status, media)
                if "schema" in content and media.endswith("json"):
                    for example in shown:
                        resolver(document, content["schema"]).validate(example)


def test_every_request_body_shows_a_valid_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            if content["schema"].get("format") == "binary":
                continue
            assert examples(content), (method, path, media)
            if media.endswith("/json") and "schema" in content:
                for example in examples(content):
                    resolver(document, content["schema"]).validate(example)


def test_every_operation_declares_the_problems_it_may_answer(document: dict[str, Any]) -> None:
    always = {"401", "403", "408", "429", "500", "503"}
    for method, path, operation in operations(document):
        problems = {s for s, a in operation["responses"].items() if MEDIA_TYPE in a["content"]}
        if path in OPEN_PATHS:
            assert operation["security"][0] == {}
            continue
        assert always <= problems, (method, path)
        if path.startswith("/api/v1/ingest"):
            assert {"400", "409", "413", "415", "422"} <= problems, (method, path)
        assert f"scope {scope_needed(method.upper(), path)}" in operation["description"], (method, path)
    assert {kind.status for kind in PROBLEMS.values()} >= {int(s) for s in always}


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (method, path, parameter["name"])


def test_real_answers_are_as_the_document_says(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS)
    caller = Caller(create_app(settings_in(tmp_path, development=True)))
    document = caller.get("/openapi.json").json()
    for path, template in (
        ("/api/v1/anomalies?limit=3", "/api/v1/anomalies"),
        ("/api/v1/anomalies?limit=0", "/api/v1/anomalies"),
        ("/api/v1/anomalies?version=9", "/api/v1/anomalies"),
        ("/api/v1/kpis/transaction_anomalies", "/api/v1/kpis/{mart}"),
        ("/api/v1/kpis/nope", "/api/v1/kpis/{mart}"),
        ("/api/v1/tables", "/api/v1/tables"),
        ("/api/v1/transactions/nope", "/api/v1/transactions/{transaction_id}"),
        ("/health", "/health"),
        ("/health/live", "/health/live"),
    ):
        answer = caller.get(path)
        declared = document["paths"][template]["get"]["responses"][str(answer.status_code)]["content"]
        schema = declared[answer.headers["content-type"]]["schema"]
        resolver(document, schema).validate(answer.json())


def test_the_page_about_the_service_lists_every_operation_and_every_kind_of_problem(document: dict[str, Any]) -> None:
    page = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    for method, path, _ in operations(document):
        assert f"`{method.upper()} {path}`" in page, path
    for slug, kind in PROBLEMS.items():
        assert f"| {kind.status} | `{slug}` | {kind.title} | {kind.meaning} |" in page, slug
