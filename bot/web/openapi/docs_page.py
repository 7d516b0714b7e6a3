"""`GET /openapi.json`, and `GET /docs`: the same as a page for people, without scripts."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web
from markupsafe import Markup, escape

from bot.web.calls.operation import operation
from bot.web.openapi.document import document
from bot.web.pages.link_pages import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jinja2 import Environment

    from bot.web.calls.operation import Operation

Schema = dict[str, Any]
CACHED = {"Cache-Control": "public, max-age=300"}


class DocsPage:
    """The document of a server at `base_url`, as JSON and as a page, which `banner` heads. Neither needs a key."""

    def __init__(
        self,
        base_url: str,
        operations: Sequence[Operation],
        rendering: Environment,
        *,
        banner: str | None = None,
    ) -> None:
        described = cache(lambda: document(base_url, operations))
        self._written = cache(lambda: orjson.dumps(described()))
        self._drawn = cache(
            lambda: rendering.get_template("web/docs.html").render(view(described()), banner=banner)
        )

    @operation(
        method="GET",
        path="/openapi.json",
        id="openapi",
        tag="server",
        summary="Get this document",
        key=False,
        answers={200: ("An OpenAPI 3.1 document.", dict[str, Any])},
    )
    async def openapi(self, _http: web.Request) -> web.Response:
        """The document."""
        return web.Response(body=self._written(), content_type="application/json", headers=CACHED)

    @operation(
        method="GET",
        path="/docs",
        id="docs",
        tag="server",
        summary="Read this document as a page",
        key=False,
        media="text/html",
        answers={200: ("The page.", str)},
    )
    async def docs(self, _http: web.Request) -> web.Response:
        """The page."""
        text = await asyncio.to_thread(self._drawn)
        return web.Response(text=text, content_type="text/html", headers={**HEADERS, **CACHED})


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
