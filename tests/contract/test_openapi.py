"""The OpenAPI document: valid, complete, and true of what the server answers."""

from __future__ import annotations

import asyncio
import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.domain import errors
from bot.web.openapi.document import document
from bot.web.operations import OPERATIONS
from tests.support.browser import open_page
from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from bot.web.calls.operation import Operation
    from tests.support.product import Answer, Product

EXAMPLES = 5
"""Good inputs, and as many bad ones, that are tried on each call, the same in every run."""

SERVED = (
    "/v1/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/",
    "/agents/",
    "/humanlayer/",
    "/openapi.json",
    "/docs",
)

ENDLESS = {"events"}
"""Calls whose answers do not end by themselves; they have tests of their own."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url) as product:
        yield product


@pytest.fixture
async def described(product: Product) -> dict[str, Any]:
    """The document as anybody gets it, without a key."""
    answer = await product.call("GET", "/openapi.json", headers={"Authorization": ""})
    assert answer.headers["Content-Type"] == "application/json"
    document: dict[str, Any] = answer.json
    return document


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document("https://assent.example.com", OPERATIONS)).validate()


async def test_it_names_the_server(product: Product, described: dict[str, Any]) -> None:
    assert described["servers"] == [{"url": product.url}]


async def test_it_describes_every_call_and_nothing_else(product: Product, described: dict[str, Any]) -> None:
    application = product.assent._runner.app
    assert application
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in application.router.routes()
        if route.resource and route.resource.canonical.startswith(SERVED)
    }
    written = {(method, path) for path, calls in described["paths"].items() for method in calls}
    assert written == {(method, path) for method, path in served if method != "head"}


async def test_every_code_is_described(described: dict[str, Any]) -> None:
    def concrete(kind: type[errors.AssentError]) -> set[str]:
        return {kind.code}.union(
            *(concrete(k) for k in kind.__subclasses__() if k.__module__ == kind.__module__)
        )

    codes = {
        code
        for calls in described["paths"].values()
        for call in calls.values()
        for answer in call["responses"].values()
        if "application/problem+json" in answer["content"]
        for code in re.findall(r"`(\w+)`: ", answer["description"])
    }
    assert codes == concrete(errors.AssentError) - {"error"}


def strict(described: dict[str, Any], name: str) -> Draft202012Validator:
    """A validator of one object that takes no member that the document does not have."""
    closed = copy.deepcopy(described["components"]["schemas"])
    for schema in closed.values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


async def test_real_answers_have_the_members_described_and_no_others(
    product: Product, described: dict[str, Any]
) -> None:
    request = await product.submit(
        audience=["email:ana@example.com", "slack:U0123456789"],
        kind="choice",
        choices=[{"id": "blue", "label": "Blue"}],
        details={"a": 1},
        timeout_seconds=60,
    )
    path = f"/v1/requests/{request['id']}"
    calls: list[tuple[str, str, Any, str]] = [
        ("GET", path, None, "RequestOut"),
        ("GET", "/v1/pending", None, "PendingPage"),
        ("GET", f"{path}/deliveries", None, "Deliveries"),
        ("POST", f"{path}/responses", {"decision": "nothing"}, "Problem"),
        ("POST", f"{path}/responses", {"decision": "blue", "respondent": "ana@example.com"}, "RequestOut"),
        ("POST", f"{path}/cancel", {}, "Problem"),
        ("GET", "/v1/requests", None, "RequestPage"),
        ("GET", f"{path}/audit", None, "History"),
        ("GET", f"{path}/receipt", None, "ReceiptOut"),
        ("GET", "/.well-known/jwks.json", None, "KeysOut"),
        ("GET", "/healthz", None, "Health"),
        ("GET", "/readyz", None, "Readiness"),
    ]
    strict(described, "RequestOut").validate(request)
    for method, where, body, model in calls:
        answer = await product.call(method, where, json=body)
        strict(described, model).validate(answer.json)


async def test_the_examples_work(database_url: str) -> None:
    async with running(database_url) as product:
        for call in OPERATIONS:
            for name, example in call.examples.items():
                answer = await tried(product, call, example)
                assert answer.status in call.answers or name == "notify", (name, answer.text)


async def tried(product: Product, call: Operation, example: Any) -> Answer:
    level = {"name": "manager", "audience": ["email:dee@example.com"]}
    people = ["email:ana@example.com", "email:cy@example.com"]
    request = await product.submit(audience=people, quorum=2, escalation=[level], payload={"tool": "refund"})
    if call.id == "withdraw":
        await product.answer(request, "approve", "ana@example.com")
    path = call.path.replace("{id}", request["id"]).replace("{name}", "finance")
    return await product.call(call.method, path, json=example)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(
    "call", [c for c in OPERATIONS if c.key and c.id not in ENDLESS], ids=lambda call: call.id
)
async def test_no_input_gets_an_answer_that_is_not_described(
    call: Operation, mode: GenerationMode, product: Product
) -> None:
    final = await product.submit(level="info")
    headers = {"Authorization": f"Bearer {product.key}"}
    operation = schemathesis.openapi.from_dict(document(product.url, OPERATIONS))[call.path][call.method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def explore(case: schemathesis.Case[Any]) -> None:
        if "{id}" in call.path and case.path_parameters:
            case.path_parameters["id"] = final["id"]
        case.call_and_validate(base_url=product.url, headers=headers, checks=CHECKS)

    await asyncio.to_thread(explore)


@pytest.mark.parametrize("width", [390, 1280])
async def test_the_page_shows_every_call_without_scripts(
    width: int, product: Product, browser: Browser
) -> None:
    page = await open_page(browser, javascript=False, width=width, color_scheme="dark")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = await page.goto(f"{product.url}/docs")
    assert answer
    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert all(url.startswith(product.url) for url in asked)
    shown = await page.locator("section[id]").evaluate_all("all => all.map(one => [one.id, one.innerText])")
    sections = dict(shown)
    for call in OPERATIONS:
        assert f"{call.method} {call.path}" in sections[call.id]
    box = await page.locator("main").bounding_box()
    assert box
    assert box["width"] <= width
    targets = await page.locator("a[href^='#']").evaluate_all("all => all.map(one => one.hash.slice(1))")
    names = await page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert targets
    assert [names.count(target) for target in targets] == [1] * len(targets)


def _schemas_in(part: Any) -> list[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(part, list):
        return [found for item in part for found in _schemas_in(item)]
    return [part, *(f for v in part.values() for f in _schemas_in(v))] if isinstance(part, dict) else []


def test_generated_clients_need_no_more_than_is_required() -> None:
    schemas = document("http://127.0.0.1", OPERATIONS)["components"]["schemas"]
    assert schemas["SubmitBody"]["required"] == ["title"]
    members = [m for schema in schemas.values() for m in schema.get("properties", {}).values()]
    assert [member for member in members if "default" in member] == []
    assert [s for s in _schemas_in(schemas) if s.get("default", ...) is None] == []


def test_every_call_has_its_area_and_every_refusal_a_named_shape() -> None:
    paths = document("http://127.0.0.1", OPERATIONS)["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert {len(operation["tags"]) for operation in operations} == {1}
    problems = [
        answer["content"]["application/problem+json"]["schema"]
        for operation in operations
        for answer in operation["responses"].values()
        if "application/problem+json" in answer["content"]
    ]
    assert problems
    assert {str(problem) for problem in problems} == {str({"$ref": "#/components/schemas/Problem"})}
