"""The OpenAPI 3.1 document of the API, made of `calls` and of the models of what goes in and out."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeGuard

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot import __version__
from bot.domain.access.authority import Scope
from bot.schemas.requests import ReasonBody
from bot.web.api import keys
from bot.web.compat import glaip
from bot.web.compat.humanlayer import routes as humanlayer
from bot.web.openapi import calls, changing_calls, schemas
from bot.web.openapi.calls import ALWAYS, Call

if TYPE_CHECKING:
    from bot.domain.errors import AssentError

JsonObject = dict[str, Any]

CALLS = (*calls.CALLS, *changing_calls.CHANGES, *keys.CALLS, *glaip.CALLS, *humanlayer.CALLS)

INTRODUCTION = """\
Ask people for approval, and learn of their answer. Send a key with every call: `Authorization: Bearer KEY`.

Every answer has an `X-Request-ID` (yours, if you sent one). What goes wrong is `application/problem+json`
with a stable `code`, a `detail` for people, and for code `invalid` every fault with its JSON pointer.
Instants are RFC 3339 in UTC. A body has at most 1 MiB. Answers may get more members; ignore unknown ones.
"""


def document(base_url: str) -> JsonObject:
    """The OpenAPI document of a server at `base_url`."""
    bodies = {call.body for call in CALLS if call.body}
    answers = {model for call in CALLS for _, model in call.answers.values() if _is_model(model)}
    models = sorted(bodies | answers | {schemas.Problem}, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    paths: JsonObject = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Assent",
            "version": __version__,
            "summary": "Human approval for workflows",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "security": [{"key": []}, {"api_key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(path) for path in paths)],
        "paths": paths,
        "components": {
            "schemas": {name: _optional(schema) for name, schema in definitions["$defs"].items()},
            "headers": {
                "RequestId": {"description": "Names this call in the log.", "schema": {"type": "string"}}
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": f"Scopes: {', '.join(Scope)}."},
                "api_key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The same key.",
                },
            },
        },
    }


def _operation(call: Call) -> JsonObject:
    scopes = call.scopes or ((call.scope,) if call.scope else ())
    scope = f"Needs the scope {' or '.join(f'`{s}`' for s in scopes)}." if scopes else ""
    operation: JsonObject = {
        "operationId": call.id,
        "tags": [_tag(call.path)],
        "summary": call.summary,
        "description": " ".join(filter(None, (call.text, scope))),
        "parameters": list(call.parameters),
        "responses": {str(s): _answer(call.media, s, *answer) for s, answer in call.answers.items()},
    }
    if call.body:
        content = {"schema": _ref(call.body), "examples": {n: {"value": v} for n, v in call.examples.items()}}
        required = call.body is not ReasonBody
        operation["requestBody"] = {"required": required, "content": {"application/json": content}}
    if not call.key:
        return operation | {"security": []}
    refusals = sorted({*ALWAYS, *call.refusals}, key=lambda error: (error.status, error.code))
    for status, group in groupby(refusals, key=lambda error: error.status):
        operation["responses"][str(status)] = _refusal(list(group))
    return operation


def _tag(path: str) -> str:
    """The area of the API that a path belongs to: generated clients make a module of each."""
    return next((tag for part, tag in _TAGS.items() if part in path), "server")


_TAGS = {
    "/agents/": "compatible",
    "/humanlayer/": "compatible",
    "/audit": "audit",
    "/receipt": "receipts",
    "/.well-known/": "receipts",
    "/events": "events",
    "/deliveries": "deliveries",
    "/notifications": "notifications",
    "/responses": "answers",
    "/withdraw": "answers",
    "/delegate": "answers",
    "/groups": "groups",
    "/keys": "keys",
    "/v1/": "requests",
}
"""What a path holds, the most particular first, and its area."""


def _optional(schema: JsonObject) -> JsonObject:
    """A model whose members with a default are optional for whoever generates code: the default is told in words."""
    members = schema.get("properties", {})
    return schema | {"properties": {n: _told(s) for n, s in members.items()}} if members else schema


def _told(schema: JsonObject) -> JsonObject:
    if "default" not in schema:
        return schema
    default = schema["default"]
    words = (
        f"Default: `{json.dumps(default, ensure_ascii=False)}`." if default not in (None, "", [], {}) else ""
    )
    plain = {word: value for word, value in schema.items() if word != "default"}
    described = " ".join(filter(None, (plain.get("description"), words)))
    return plain | ({"description": described} if described else {})


def _answer(media: str, status: int, text: str, model: type[BaseModel | str] | None) -> JsonObject:
    location = (
        {"Location": {"description": "Its path.", "schema": {"type": "string"}}} if status == 201 else {}
    )
    content: JsonObject = {}
    if model:
        content = {media: {"schema": _ref(model) if _is_model(model) else {"type": "string"}}}
    return {
        "description": text,
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}, **location},
        "content": content,
    }


def _is_model(model: type[BaseModel | str] | None) -> TypeGuard[type[BaseModel]]:
    return model is not None and issubclass(model, BaseModel)


def _refusal(group: list[type[AssentError]]) -> JsonObject:
    return {
        "description": " ".join(f"`{e.code}`: {e.title[0].lower()}{e.title[1:]}." for e in group),
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
        "content": {"application/problem+json": {"schema": _ref(schemas.Problem)}},
    }


def _ref(model: type[BaseModel]) -> JsonObject:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
