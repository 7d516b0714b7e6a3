"""`GET /openapi.json`, and `GET /docs`: the same as a page for people, without scripts."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web
from markupsafe import Markup, escape

from bot.web.openapi.document import document
from bot.web.pages.link_pages import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Environment

Schema = dict[str, Any]
CACHED = {"Cache-Control": "public, max-age=300"}


def routes(base_url: str, rendering: Environment, *, banner: str | None = None) -> list[web.RouteDef]:
    """The document of a server at `base_url`, as JSON and as a page, which `banner` heads. Neither needs a key."""

    @cache
    def written() -> bytes:
        return orjson.dumps(document(base_url))

    @cache
    def drawn() -> str:
        return rendering.get_template("web/docs.html").render(view(document(base_url)), banner=banner)

    async def openapi(_http: web.Request) -> web.Response:
        return web.Response(body=written(), content_type="application/json", headers=CACHED)

    async def docs(_http: web.Request) -> web.Response:
        text = await asyncio.to_thread(drawn)
        return web.Response(text=text, content_type="text/html", headers={**HEADERS, **CACHED})

    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]


def view(described: Schema) -> dict[str, Any]:
    """What the page shows of an OpenAPI document."""
    schemas = described["components"]["schemas"]
    return {
        "title": described["info"]["title"],
        "version": described["info"]["version"],
        "introduction": _flowing(described["info"]["description"]),
        "calls": [
            _call(method, path, operation)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        ],
        "objects": [
            {"name": name, "text": _flowing(schema.get("description", "")), "fields": _fields(schema)}
            for name, schema in schemas.items()
            if {"properties", "items", "anyOf"} & schema.keys()
        ],
        "enumerations": [
            {"name": name, "text": _flowing(schema.get("description", "")), "members": schema["enum"]}
            for name, schema in schemas.items()
            if "enum" in schema
        ],
    }


def _call(method: str, path: str, operation: Schema) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return {
        "method": method.upper(),
        "path": path,
        "id": operation["operationId"],
        "summary": operation["summary"],
        "text": operation["description"],
        "parameters": [
            {"name": p["name"], "place": p["in"], "type": _words(p["schema"]), "text": p["description"]}
            for p in operation["parameters"]
        ],
        "body": _words(content["schema"]) if content else None,
        "examples": [example["value"] for example in content["examples"].values()] if content else [],
        "answers": [
            {"status": status, "text": answer["description"], "type": _answered(answer)}
            for status, answer in sorted(operation["responses"].items())
        ],
    }


def _flowing(text: str) -> str:
    """`text` with its lines joined into paragraphs; our Markdown would keep each line break."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in text.split("\n\n"))


def _answered(answer: Schema) -> Markup:
    return Markup(" or ").join(_words(content["schema"]) for content in answer["content"].values())


def _fields(schema: Schema) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "type": _words(field),
            "text": _flowing(field.get("description", "")),
            "required": name in required,
        }
        for name, field in schema.get("properties", {"[…]": schema.get("items", schema)}).items()
    ]


def _words(schema: Schema) -> Markup:
    """A schema in words, objects as links to their tables."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            words = Markup('<a href="#{}">{}</a>').format(name, name)
        case {"enum": values}:
            words = _either(escape(f'"{value}"') for value in values)
        case {"const": value}:
            words = escape(f'"{value}"')
        case {"anyOf": options} | {"oneOf": options}:
            words = _either(map(_words, options))
        case {"allOf": [first, *_]}:
            words = _words(first)
        case _:
            words = _typed(schema)
    return words


def _typed(schema: Schema) -> Markup:
    match schema:
        case {"type": "array", "items": items}:
            return escape("list of ") + _words(items)
        case {"type": "object", "additionalProperties": dict() as values} if values:
            return escape("map of ") + _words(values)
        case {"type": "string", "format": "date-time"}:
            return escape("instant")
    return escape(schema.get("type", "any JSON"))


def _either(parts: Iterable[Markup]) -> Markup:
    return Markup(" or ").join(dict.fromkeys(parts))
