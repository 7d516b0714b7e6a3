"""What satisfies `verify`: a decision of people, about that payload, that request, that choice, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import OctKey, OKPKey

from bot.client import receipts
from bot.client.errors import Unverified
from bot.client.testing import OfflineAsyncClient, OfflineClient, approve, choose
from bot.domain.model.digest import payload_digest

PAYLOAD = {"amount": 1250, "customer": "8841"}
KEY = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, auto_kid=True)
PUBLISHED = {"keys": [KEY.as_dict(private=False)]}
HEADER = {"alg": "Ed25519", "typ": "assent-receipt+jwt", "kid": KEY.kid}
CLAIMS: dict[str, Any] = {
    "iss": "http://127.0.0.1:8080",
    "sub": "req_1",
    "iat": 1,
    "status": "approved",
    "choice": None,
    "revision": 1,
    "payload_digest": payload_digest(PAYLOAD),
    "respondents": ["rsp_1"],
    "resolved_by": "respondents",
    "resolved_at": "2026-01-01T00:00:00.000Z",
    "by": "Ana",
    "seq": 3,
    "chain": "f" * 64,
}


def signed(**claims: Any) -> str:
    kept = {name: value for name, value in (CLAIMS | claims).items() if value != "gone"}
    return jwt.encode(HEADER, kept, KEY, algorithms=["Ed25519"])


def check(receipt: str, payload: Any = PAYLOAD, **wanted: Any) -> dict[str, Any]:
    options = {"request": None, "choice": None, "allow": ()} | wanted
    return receipts.check(receipt, receipts.Wanted.of(payload, **options), PUBLISHED)


@pytest.mark.parametrize("resolved_by", ["respondents", "operator"])
def test_people_satisfy_it(resolved_by: str) -> None:
    assert check(signed(resolved_by=resolved_by), request="req_1")["sub"] == "req_1"


@pytest.mark.parametrize("resolved_by", ["policy", "grant", "timeout"])
def test_what_no_person_decided_satisfies_only_who_names_it(resolved_by: str) -> None:
    receipt = signed(resolved_by=resolved_by)
    others = {"policy", "grant", "timeout"} - {resolved_by}
    for allow in ((), others, [*others]):
        with pytest.raises(Unverified, match=f"no person approved this: it was approved by {resolved_by}"):
            check(receipt, allow=allow)
    assert check(receipt, allow=(resolved_by,))
    assert check(receipt, allow=resolved_by)
    assert check(receipt, allow={"policy", "grant", "timeout"})


@pytest.mark.parametrize("resolved_by", ["requester", "nobody", "", "Respondents"])
def test_nothing_else_ever_does(resolved_by: str) -> None:
    with pytest.raises(Unverified, match="no person approved this"):
        check(signed(resolved_by=resolved_by), allow=("policy", "grant", "timeout"))


@pytest.mark.parametrize("allow", [("info",), ("respondents",), ["policy", "people"], "timeouts", {""}])
def test_an_unknown_name_in_allow_is_an_error(allow: Any) -> None:
    with pytest.raises(ValueError, match=r"allow: .* is unknown; it takes grant, policy, timeout"):
        check(signed(), allow=allow)


def test_it_is_of_that_request() -> None:
    with pytest.raises(Unverified, match="of another request: req_1, not req_2"):
        check(signed(), request="req_2")
    assert check(signed(), request={"id": "req_1"})


def test_it_is_of_that_payload() -> None:
    for other in ({**PAYLOAD, "amount": 1251}, {}, None, [PAYLOAD]):
        with pytest.raises(Unverified, match="not the one that was approved"):
            check(signed(), other)
    with pytest.raises(Unverified, match="no canonical JSON"):
        check(signed(), {"amount": float("nan")})


def test_it_is_of_that_choice() -> None:
    receipt = signed(choice="do_not_pay")
    with pytest.raises(Unverified, match="people chose 'do_not_pay': pass choice="):
        check(receipt)
    with pytest.raises(Unverified, match="people chose 'do_not_pay', not 'pay'"):
        check(receipt, choice="pay")
    with pytest.raises(Unverified, match="no choice"):
        check(signed(), choice="pay")
    assert check(receipt, choice="do_not_pay")
    with pytest.raises(Unverified, match="pass choice="):
        check(signed(choice=""))


@pytest.mark.parametrize("status", ["rejected", "skipped", "expired", "cancelled", "pending", "Approved"])
def test_it_is_of_an_approval(status: str) -> None:
    with pytest.raises(Unverified, match=f"ended as '{status}'"):
        check(signed(status=status))


@pytest.mark.parametrize(
    "name", ["resolved_by", "choice", "revision", "seq", "chain", "iss", "sub", "status"]
)
def test_a_receipt_that_does_not_say_it_all_is_refused(name: str) -> None:
    with pytest.raises(Unverified, match=rf"does not say enough \({name}\).*get the receipt .* anew"):
        check(signed(**{name: "gone"}))


@pytest.mark.parametrize(
    ("name", "value"), [("resolved_by", ["respondents"]), ("sub", 1), ("revision", True)]
)
def test_claims_of_another_kind_are_refused(name: str, value: Any) -> None:
    with pytest.raises(Unverified, match="does not say enough"):
        check(signed(**{name: value}))


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_no_other_algorithm_is_taken() -> None:
    none = f"{part(HEADER | {'alg': 'none'})}.{part(CLAIMS)}."
    text = f"{part(HEADER | {'alg': 'HS256'})}.{part(CLAIMS)}"
    public = base64.urlsafe_b64decode(PUBLISHED["keys"][0]["x"] + "=")
    mac = base64.urlsafe_b64encode(hmac.digest(public, text.encode(), hashlib.sha256)).decode().rstrip("=")
    for receipt in (none, f"{text}.{mac}"):
        with pytest.raises(Unverified, match="has signed this receipt"):
            check(receipt)
    assert OctKey  # what such a receipt would be taken with


def test_headers_that_must_be_understood_are_not_passed_over() -> None:
    header = HEADER | {"crit": ["exp2"], "exp2": 1}
    text = f"{part(header)}.{part(CLAIMS)}"
    raw: Any = KEY.private_key
    receipt = f"{text}.{base64.urlsafe_b64encode(raw.sign(text.encode())).decode().rstrip('=')}"
    with pytest.raises(Unverified, match="has signed this receipt"):
        check(receipt)


def test_a_key_that_is_not_published_is_not_trusted() -> None:
    foreign = OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)
    for kid in (foreign.kid, KEY.kid, "nobody"):
        receipt = jwt.encode(HEADER | {"kid": kid}, CLAIMS, foreign, algorithms=["Ed25519"])
        with pytest.raises(Unverified, match="has signed this receipt"):
            check(receipt)
    with_key = jwt.encode(
        HEADER | {"kid": "mine", "jwk": foreign.as_dict(private=False)},
        CLAIMS,
        foreign,
        algorithms=["Ed25519"],
    )
    with pytest.raises(Unverified, match="has signed this receipt"):
        check(with_key)


def test_another_token_of_the_same_key_is_no_receipt() -> None:
    for typ in ("JWT", None):
        header = {name: value for name, value in (HEADER | {"typ": typ}).items() if value}
        with pytest.raises(Unverified, match="it is no receipt"):
            check(jwt.encode(header, CLAIMS, KEY, algorithms=["Ed25519"]))
    listed = jws.serialize_compact(HEADER, json.dumps([CLAIMS]), KEY, algorithms=["Ed25519"])
    with pytest.raises(Unverified, match="it is no receipt"):
        check(listed)


def test_both_clients_hold_it_against_request_and_choice() -> None:
    ask: dict[str, Any] = {"title": "Refund", "audience": ["ana@example.com"], "payload": PAYLOAD}
    choices = [{"id": "pay", "label": "Pay"}, {"id": "do_not_pay", "label": "Do not pay"}]
    client = OfflineClient([approve(), choose("do_not_pay")])
    first = client.submit(**ask)
    second = client.submit(**ask, kind="choice", choices=choices)
    assert client.verify(client.receipt(first.id), PAYLOAD, first)["sub"] == first.id
    with pytest.raises(Unverified, match="another request"):
        client.verify(client.receipt(first.id), PAYLOAD, request=second.id)
    with pytest.raises(Unverified, match="not 'pay'"):
        client.verify(client.receipt(second.id), PAYLOAD, second.id, "pay")
    with pytest.raises(ValueError, match="allow"):
        client.verify(client.receipt(first.id), PAYLOAD, allow=("people",))

    async def asynchronously() -> None:
        there = OfflineAsyncClient(approve())
        request = await there.submit(**ask)
        assert await there.verify(await there.receipt(request.id), PAYLOAD, request=request.id)
        with pytest.raises(Unverified, match="another request"):
            await there.verify(await there.receipt(request.id), PAYLOAD, request="req_other")

    asyncio.run(asynchronously())
