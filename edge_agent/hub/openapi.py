"""The OpenAPI 3.1 document, made from the table of routes and the models that validate: it cannot drift.

Every answer may also be a problem document. Frames and lines are described by their media type only; a route that
answers in one of several types names them all, with commas between.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import JSON, ProblemForm
from edge_agent.hub.router import ANYONE, Route
from edge_agent.wire.problem import CONTENT_TYPE

_REF = "#/components/schemas/{model}"
_NO_CONTENT = 204
_BINARY = {"type": "string", "format": "binary"}

_Schemas = Mapping[Any, Any]
"""By model and mode."""


class OpenApi:
    """Serves the document of a table of routes, which is given once the table is whole; written when asked for."""

    def __init__(self) -> None:
        self._routes: Sequence[Route] = ()
        self._body = b""

    def describe(self, routes: Sequence[Route]) -> None:
        """Of these routes."""
        self._routes = routes

    async def show(self, _ask: Ask) -> Reply:
        """GET /openapi.json."""
        self._body = self._body or orjson.dumps(document(self._routes))
        return Reply(200, self._body, headers={"cache-control": "no-cache"})


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document as a JSON object."""
    modes: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemForm, "serialization"): None}
    for route in routes:
        modes.update({(model, "validation"): None for model in (route.body, route.query) if model})
        modes.update({(model, "serialization"): None for model in (route.answer,) if model})
    schemas, definitions = models_json_schema(list(modes), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "edge-agent hub", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "device": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "person": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.status != _NO_CONTENT:
        schema = schemas[route.answer, "serialization"] if route.answer else {}
        answer["content"] = {media: {"schema": schema} for media in route.media.split(", ")}
    problem = {CONTENT_TYPE: {"schema": schemas[ProblemForm, "serialization"]}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}_{'_'.join(_words(route.pattern))}",
        "parameters": [*_in_path(route.pattern), *_in_query(route.query)],
        "responses": {str(route.status): answer, "default": {"description": "A problem", "content": problem}},
        "security": _security(route),
    }
    if route.body is not None:
        content: dict[str, Any] = {JSON: {"schema": schemas[route.body, "validation"]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.accepts:
        content = {media: {"schema": {} if media == JSON else _BINARY} for media in route.accepts}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.roles is ANYONE:
        return []
    device: list[dict[str, list[str]]] = [{"device": []}] if "device" in route.roles else []
    return device + ([{"person": []}] if "admin" in route.roles else [])


def _words(pattern: str) -> list[str]:
    return [word.strip("{}").replace(".", "_") for word in pattern.split("/") if word] or ["page"]


def _in_path(pattern: str) -> list[dict[str, Any]]:
    return [
        {"name": word[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for word in pattern.split("/")
        if word.startswith("{")
    ]


def _in_query(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": member}
        for name, member in schema["properties"].items()
    ]
