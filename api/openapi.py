"""The OpenAPI document: what FastAPI derives from the routes, with problems, keys and examples beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.problems import MEDIA_TYPE, PROBLEMS, FieldError, pointer
from api.security.guard import OPEN_PATHS

DESCRIPTION = (
    "Rows go in over HTTP and are on the disk when the answer comes; anomalies, marts and the proof of a single "
    "transaction come out. What each answer promises is in docs/api.md."
)
# What any route that asks for a key may answer.
_ALWAYS = ("unauthorized", "forbidden", "too-many", "timeout", "internal", "unavailable")
Responses = dict[int | str, dict[str, Any]]
_REQUEST_ID_EXAMPLE = "urn:request:5f0c1d2e3a4b5c6d-1a"

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Problem details, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "enum": [f"/problems/{slug}" for slug in PROBLEMS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "Names the request."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "rule", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "maxLength": 256,
                        "description": "JSON pointer into the body, or `?` and the name of a query parameter.",
                    },
                    "rule": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def problem_responses(*slugs: str, examples: Mapping[str, Mapping[str, Any]] | None = None) -> Responses:
    """OpenAPI responses for kinds of problems, one a status.

    Args:
        slugs: Keys of PROBLEMS, beside those that every route with a key may answer.
        examples: Members of the example by slug, laid over the made one.
    """
    responses: Responses = {}
    for slug in (*slugs, *_ALWAYS):
        kind = PROBLEMS[slug]
        example = {
            "type": f"/problems/{slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "instance": _REQUEST_ID_EXAMPLE,
            **(examples or {}).get(slug, {}),
        }
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
        responses[kind.status] = {"description": f"{kind.title}. {kind.meaning}", "content": content}
        if slug in {"too-many", "unavailable"}:
            responses[kind.status]["headers"] = {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
            }
    return responses


def json_example(description: str, schema: type, example: Any) -> dict[str, Any]:
    """An OpenAPI response of JSON with a schema and an example."""
    return {"description": description, "model": schema, "content": {"application/json": {"example": example}}}


def document(app: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """The document of a service, made once.

    Args:
        app: The service.
        routers: What it answers, with the examples as written.
    """
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas["Problem"] = PROBLEM_SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer lhk_...`"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        made["security"] = [{"bearer": []}, {"apiKey": []}]
        for path in OPEN_PATHS & made["paths"].keys():
            for operation in made["paths"][path].values():
                # The empty one: a key is not needed, with one the answer says more.
                operation["security"] = [{}, {"bearer": []}, {"apiKey": []}]
        for router in routers:
            _put_examples_back(made["paths"], router)
        app.openapi_schema = made
    return app.openapi_schema


def _put_examples_back(paths: dict[str, Any], router: APIRouter) -> None:
    """FastAPI leaves members that are null out of examples, and with them what the example was to show."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                answers = paths[route.path_format][method.lower()]["responses"]
                for status, declared in route.responses.items():
                    for media, content in declared.get("content", {}).items():
                        shown = {name: content[name] for name in ("example", "examples") if name in content}
                        answers[str(status)]["content"][media].update(shown)


def query_errors(error: RequestValidationError) -> list[FieldError]:
    """What FastAPI found wrong with parameters, as errors of a problem; values are not repeated."""
    found = []
    for entry in error.errors():
        place, *rest = entry["loc"] or ("query",)
        name = ".".join(str(part) for part in rest)
        where = f"?{name}"[:256] if place == "query" else pointer(*rest)
        found.append(FieldError(where, str(entry["type"]), str(entry["msg"])))
    return found
