"""The OpenAPI 3.1 document of the API, made of the operations and of the models of what goes in and out."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from bot import __version__
from bot.domain.access.authority import Scope
from bot.domain.errors import (
    ForbiddenScope,
    IdempotencyConflict,
    Invalid,
    Malformed,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from bot.schemas import answers
from bot.web.calls.idempotency import MAX_IDEMPOTENCY_KEY
from bot.web.calls.parameters import header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.errors import AssentError
    from bot.web.calls.operation import Operation

JsonObject = dict[str, Any]
Models = dict[Any, JsonObject]
REF = "#/components/schemas/{model}"

ALWAYS = (Malformed, Unauthenticated, ForbiddenScope, RateLimited, Unavailable)
"""What every call with a key may be refused with."""
WITH_BODY = (TooLarge, Invalid)
BY_NAME = (answers.Problem, answers.EventOut, answers.PendingOut)
"""What others refer to by its name only, or what has its members from another."""
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "The same key with the same body is the same call: it is carried out once, and answered as the first was.",
    minLength=1,
    maxLength=MAX_IDEMPOTENCY_KEY,
)

INTRODUCTION = """\
Ask people for approval, and learn of their answer. Send a key with every call: `Authorization: Bearer KEY`.

Every answer has an `X-Request-ID` (yours, if you sent one). What goes wrong is `application/problem+json`
with a stable `code`, a `detail` for people, and for code `invalid` every fault with its JSON pointer.
Instants are RFC 3339 in UTC. A body has at most 1 MiB. Answers may get more members; ignore unknown ones.
"""


def document(base_url: str, operations: Sequence[Operation]) -> JsonObject:
    """The OpenAPI document of a server at `base_url`."""
    models, definitions = _models(operations)
    paths: JsonObject = {}
    for described in operations:
        paths.setdefault(described.path, {})[described.method.lower()] = _operation(described, models)
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
        "tags": [{"name": name} for name in dict.fromkeys(described.tag for described in operations)],
        "paths": paths,
        "components": {
            "schemas": {name: _optional(schema) for name, schema in definitions.items()},
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


def _models(operations: Sequence[Operation]) -> tuple[Models, dict[str, JsonObject]]:
    """The schema of everything that goes in and out, and what these refer to by name."""
    taken = {described.takes for described in operations if described.takes}
    given = {model for described in operations for _, model in described.answers.values() if model}
    models = sorted({*taken, *given, *BY_NAME}, key=_name)
    schemas, definitions = TypeAdapter.json_schemas(
        [(model, "validation", TypeAdapter(model)) for model in models], ref_template=REF
    )
    named: dict[str, JsonObject] = definitions["$defs"]
    for model in models:
        _inherit(named, model)
    return {model: schema for (model, _), schema in schemas.items()}, named


def _name(model: Any) -> str:
    return str(getattr(model, "__name__", model))


def _inherit(named: dict[str, JsonObject], model: Any) -> None:
    """Describe the members that a model has from another as they are described there."""
    for base in getattr(model, "__orig_bases__", ()):
        inherited = named.get(_name(base), {}).get("properties", {})
        for name, schema in inherited.items():
            named[_name(model)]["properties"][name] = schema


def _operation(described: Operation, models: Models) -> JsonObject:
    wanted = " or ".join(f"`{scope}`" for scope in described.scopes)
    scope = f"Needs the scope {wanted}." if wanted else ""
    operation: JsonObject = {
        "operationId": described.id,
        "tags": [described.tag],
        "summary": described.summary,
        "description": " ".join(filter(None, (described.text, scope))),
        "parameters": [*described.parameters, *([IDEMPOTENCY_KEY] if described.heeds_key else [])],
        "responses": {
            str(s): _answer(described.media, s, text, models.get(model))
            for s, (text, model) in described.answers.items()
        },
    }
    if described.takes:
        content = {
            "schema": models[described.takes],
            "examples": {name: {"value": value} for name, value in described.examples.items()},
        }
        needed = not described.empty or any(f.is_required() for f in described.takes.model_fields.values())
        operation["requestBody"] = {"required": needed, "content": {"application/json": content}}
    if not described.key:
        return operation | {"security": []}
    for status, group in groupby(_refusals(described), key=lambda error: error.status):
        operation["responses"][str(status)] = _refusal(list(group), models[answers.Problem])
    return operation


def _refusals(described: Operation) -> list[type[AssentError]]:
    """Everything that it may be refused with, by status."""
    refusals = {*ALWAYS, *described.refusals}
    if described.takes:
        refusals.update(WITH_BODY)
    if described.heeds_key:
        refusals.update((Invalid, IdempotencyConflict))
    return sorted(refusals, key=lambda error: (error.status, error.code))


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


def _answer(media: str, status: int, text: str, schema: JsonObject | None) -> JsonObject:
    location = (
        {"Location": {"description": "Its path.", "schema": {"type": "string"}}} if status == 201 else {}
    )
    return {
        "description": text,
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}, **location},
        "content": {media: {"schema": schema}} if schema else {},
    }


def _refusal(group: list[type[AssentError]], schema: JsonObject) -> JsonObject:
    return {
        "description": " ".join(f"`{e.code}`: {e.title[0].lower()}{e.title[1:]}." for e in group),
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
        "content": {"application/problem+json": {"schema": schema}},
    }
