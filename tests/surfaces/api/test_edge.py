"""What the API says before it does anything: about keys, scopes, bodies that are no JSON, odd addresses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from bot.store.queries import api_keys
from bot.web.calls import auth
from tests.support.product import KEY, running

if TYPE_CHECKING:
    from tests.support.product import Answer, Product

ASK = {"title": "Deploy", "audience": ["email:ana@example.com"]}
CALLS = [
    ("POST", "/v1/requests", {"submit"}),
    ("GET", "/v1/requests", {"read", "submit"}),
    ("GET", "/v1/requests/req_1", {"read", "submit"}),
    ("GET", "/v1/requests/req_1/audit", {"read", "submit"}),
    ("GET", "/v1/requests/req_1/deliveries", {"read", "submit"}),
    ("GET", "/v1/pending", {"read", "submit"}),
    ("POST", "/v1/requests/req_1/responses", {"operate"}),
    ("POST", "/v1/requests/req_1/cancel", {"submit", "operate"}),
    ("POST", "/v1/notifications", {"submit"}),
]


def problem(answer: Answer) -> tuple[int, str]:
    """Status and code of an error, which must look as RFC 9457 says."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    body = answer.json
    assert body["status"] == answer.status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.text
    return answer.status, body["code"]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "wrong"]
)
async def test_every_call_needs_a_key(authorization: str | None, product: Product) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    del product.http.headers["Authorization"]
    for method, path, _ in CALLS:
        answer = await product.call(method, path, headers=headers)
        assert problem(answer) == (401, "unauthenticated"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_key_does_what_its_scopes_say(product: Product) -> None:
    scopes = {"submit", "read", "respond", "operate", "links", "admin"}
    for method, path, needed in CALLS:
        body: Any = {"decision": "approve"} if path.endswith("responses") else ASK | {"message": "M"}
        without = await product.new_key(*(scopes - needed))
        answer = await product.call(method, path, headers=without, json=body if method == "POST" else None)
        assert problem(answer) == (403, "forbidden_scope"), path
        assert all(f"`{scope}`" in answer.json["detail"] for scope in needed)


async def test_responding_for_somebody_needs_a_scope_that_decides(product: Product) -> None:
    request = await product.submit()
    body = {"decision": "approve", "respondent": "email:ana@example.com"}
    path = f"/v1/requests/{request['id']}/responses"
    refused = await product.call("POST", path, json=body, headers=await product.new_key("submit", "read"))
    assert problem(refused) == (403, "forbidden_scope")
    taken = await product.call("POST", path, json=body, headers=await product.new_key("respond"))
    assert taken.json["status"] == "approved"
    other = await product.submit()
    path = f"/v1/requests/{other['id']}/responses"
    taken = await product.call("POST", path, json=body, headers=await product.new_key("operate"))
    assert taken.json["status"] == "approved"
    assert (await product.get(other))["outcome"]["resolved_by"] == "respondents"


async def test_a_revoked_key_is_unknown(product: Product) -> None:
    headers = await product.new_key("read")
    every = await product.assent.store.run_read(api_keys.every)
    await product.assent.store.run_write(lambda c: api_keys.revoke(c, every[0].id, datetime.now(UTC)))
    assert problem(await product.call("GET", "/v1/pending", headers=headers)) == (401, "unauthenticated")


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"title=Deploy",
    "cut off": b'{"title": "Deploy"',
    "two values": b"{} {}",
    "trailing comma": b'{"title": "Deploy",}',
    "NaN": b'{"title": "T", "payload": NaN}',
    "Infinity": b'{"title": "T", "payload": -Infinity}',
    "not UTF-8": b'{"title": "caf\xe9"}',
    "UTF-16": '{"title": "T"}'.encode("utf-16"),
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "a lone surrogate": b'{"title": "\\ud800"}',
    "a lone surrogate as a key": b'{"title": "T", "payload": {"\\udc00": 1}}',
    "NUL": b'{"title": "a\\u0000b"}',
    "NUL in a key": b'{"title": "T", "details": {"a\\u0000": "b"}}',
    "raw NUL": b'{"title": "a\x00b"}',
    "a raw newline": b'{"title": "a\nb"}',
    "nested too deep": b'{"title": "T", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/requests/req_1/responses", "/v1/notifications"])
async def test_what_is_not_json_is_malformed(path: str, product: Product) -> None:
    found = {}
    for name, raw in MALFORMED.items():
        found[name] = problem(await product.call("POST", path, data=raw))
    assert found == dict.fromkeys(MALFORMED, (400, "malformed"))


@pytest.mark.parametrize("raw", [b"null", b"[]", b'"text"', b"7", b"true"])
async def test_a_body_must_be_an_object(raw: bytes, product: Product) -> None:
    request = await product.submit()
    one = f"/v1/requests/{request['id']}"
    for path in ("/v1/requests", f"{one}/responses", f"{one}/cancel", "/v1/notifications"):
        answer = await product.call("POST", path, data=raw)
        assert problem(answer) == (422, "invalid"), path
        assert answer.json["errors"] == [{"pointer": "", "detail": "must be a JSON object"}]


async def test_a_body_over_a_mebibyte_is_too_large(product: Product) -> None:
    limit = 1024 * 1024

    def sized(size: int) -> bytes:
        frame = b'{"title": "T", "audience": ["email:ana@example.com"], "payload": ""}'
        return frame.replace(b'""', b'"' + b"x" * (size - len(frame)) + b'"')

    assert (await product.call("POST", "/v1/requests", data=BytesIO(sized(limit)))).status == 201
    for path in ("/v1/requests", "/v1/requests/req_1/responses", "/v1/notifications"):
        assert problem(await product.call("POST", path, data=BytesIO(sized(limit + 1)))) == (
            413,
            "too_large",
        )

    async def chunks() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    assert problem(await product.call("POST", "/v1/requests", data=chunks())) == (413, "too_large")


async def raw(product: Product, *headers: bytes, body: bytes = b"{}", size: int | None = None) -> bytes:
    """The answer to a submission of exactly these bytes; with a `size` that is not `body`'s, the client leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(product.url).port)
    length = b"Content-Length: %d" % (len(body) if size is None else size)
    head = (b"POST /v1/requests HTTP/1.1", b"Host: assent", b"Connection: close", length, *headers)
    writer.write(b"\r\n".join((*head, b"", body)))
    if size is not None:
        writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


KEY_HEADER = f"Authorization: Bearer {KEY}".encode()


async def test_a_key_of_any_bytes_is_an_unknown_key(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "MAX_FAILURES", 2)
    for header in (b"Authorization: Bearer \xff", b"X-API-Key: \xff"):
        assert (await raw(product, header)).startswith(b"HTTP/1.1 401")
    assert (await raw(product, header)).startswith(b"HTTP/1.1 429")


async def test_an_idempotency_key_is_utf_8(product: Product) -> None:
    body = b'{"title": "T", "audience": ["email:ana@example.com"]}'
    refused = await raw(product, KEY_HEADER, b"Idempotency-Key: caf\xe9", body=body)
    assert refused.startswith(b"HTTP/1.1 422")
    assert b"/Idempotency-Key" in refused
    taken = await raw(product, KEY_HEADER, "Idempotency-Key: café".encode(), body=body)
    assert taken.startswith(b"HTTP/1.1 201")


async def test_a_body_that_is_not_encoded_as_it_says_is_malformed(
    product: Product, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await raw(product, KEY_HEADER, b"Content-Encoding: gzip", body=b"abc")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"malformed"' in answer
    unknown = await raw(product, b"Content-Encoding: gzip", body=b"abc")
    assert unknown.startswith(b"HTTP/1.1 401")
    assert "rror" not in caplog.text + capsys.readouterr().out


async def test_a_client_that_leaves_amid_its_body_is_no_error_of_ours(
    product: Product, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await raw(product, KEY_HEADER, body=b"{", size=50) == b""
    assert (await product.call("GET", "/healthz")).status == 200
    assert "rror" not in caplog.text + capsys.readouterr().out


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v2/requests", "/v1/requests/a/b", "/v1/requests/"]
)
async def test_an_address_that_is_nothing(path: str, product: Product) -> None:
    assert problem(await product.call("GET", path)) == (404, "not_found")


async def test_a_request_that_is_not_there(product: Product) -> None:
    for method, path, _ in CALLS:
        if "req_1" in path:
            body = {"decision": "approve"} if path.endswith("responses") else {}
            answer = await product.call(method, path, json=body if method == "POST" else None)
            assert problem(answer) == (404, "not_found"), path
    for strange in ("%F0%9F%92%A9", "%FF", "a" * 3000, "..%2F..", "'%20OR%201=1--"):
        assert problem(await product.call("GET", f"/v1/requests/{strange}")) == (404, "not_found")


async def test_an_address_with_a_nul_is_malformed(product: Product) -> None:
    request = await product.submit()
    for path in (
        "/v1/requests/%00",
        f"/v1/requests/{request['id']}%00/audit",
        "/v1/requests?q=%00",
        "/v1/requests?cursor=a%00",
        "/v1/pending?label=%00",
    ):
        answer = await product.call("GET", URL(product.url + path, encoded=True))
        assert problem(answer) == (400, "malformed"), path


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_method_that_is_not_allowed_names_those_that_are(method: str, product: Product) -> None:
    answer = await product.call(method, "/v1/requests")
    assert problem(answer) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(","))


async def test_every_answer_has_a_request_id(product: Product) -> None:
    call = product.call
    ids = [(await call("GET", p)).headers["X-Request-ID"] for p in ("/healthz", "/v1/pending", "/nothing")]
    assert len(set(ids)) == 3
    kept = await call("GET", "/v1/pending", headers={"X-Request-ID": "run-7:step.2"})
    assert kept.headers["X-Request-ID"] == "run-7:step.2"
    for strange in ("two words", "ä", "x" * 200, "<script>"):
        given = await call("GET", "/v1/pending", headers={"X-Request-ID": strange})
        assert given.headers["X-Request-ID"] != strange


async def test_health_and_readiness_need_no_key(product: Product) -> None:
    nobody = {"Authorization": ""}
    alive = await product.call("GET", "/healthz", headers=nobody)
    assert (alive.status, alive.json["status"]) == (200, "ok")
    async with asyncio.timeout(10):
        ready = await product.call("GET", "/readyz", headers=nobody)
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert {"database", "delivery"} <= ready.json["checks"].keys()


async def test_a_relay_that_is_down_is_named_and_leaves_the_server_ready(
    database_url: str, unused_tcp_port: int
) -> None:
    relay = {
        "assent_smtp_url": f"smtp://127.0.0.1:{unused_tcp_port}?tls=none",
        "assent_mail_from": "a@example.com",
    }
    async with running(database_url, **relay) as product:
        await product.submit()
        async with asyncio.timeout(20):
            while (ready := await product.call("GET", "/readyz")).json["checks"]["delivery"] == "ok":
                await product.assent.dispatcher.settle()
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert ready.json["checks"]["delivery"] == "cannot send by email just now"


async def test_head_answers_as_get_without_a_body(product: Product) -> None:
    request = await product.submit()
    answer = await product.call("HEAD", f"/v1/requests/{request['id']}")
    assert (answer.status, answer.text) == (200, "")
