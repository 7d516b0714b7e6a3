"""Receipts: proof of who decided what about which payload, for whoever has the public keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from bot.domain.model.digest import payload_digest
from tests.support.product import running

if TYPE_CHECKING:
    from joserfc.jwt import Token

    from tests.support.product import Json, Product

PAYLOAD = {"tool": "refund", "amount": 1250, "customer": "8841"}
OLD, NEW = "o" * 32, "n" * 32


async def receipt_of(product: Product, request: Json) -> str:
    answer = await product.call("GET", f"/v1/requests/{request['id']}/receipt")
    assert answer.status == 200, answer.text
    receipt: str = answer.json["receipt"]
    return receipt


async def published(product: Product) -> KeySet:
    """The keys as anybody gets them."""
    answer = await product.call("GET", "/.well-known/jwks.json", headers={"Authorization": ""})
    assert all("d" not in key for key in answer.json["keys"])
    return KeySet.import_key_set(answer.json)


def verified(receipt: str, keys: KeySet) -> Token:
    return jwt.decode(receipt, keys, algorithms=["Ed25519"])


async def test_a_receipt_says_who_decided_what_and_when(product: Product) -> None:
    request = await product.submit(payload=PAYLOAD)
    refused = await product.call("GET", f"/v1/requests/{request['id']}/receipt")
    assert (refused.status, refused.json["code"]) == (409, "not_final")
    decided = (await product.answer(request, "approve", "ana@example.com")).json
    token = verified(await receipt_of(product, request), await published(product))
    events = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
    [resolved] = [event for event in events if event["type"] == "request.resolved"]
    assert token.claims.pop("iat")
    assert token.claims == {
        "iss": product.url,
        "sub": request["id"],
        "status": "approved",
        "choice": None,
        "payload_digest": payload_digest(PAYLOAD),
        "respondents": [request["respondents"][0]["id"]],
        "resolved_by": "respondents",
        "resolved_at": decided["resolved_at"],
        "by": "ana@example.com",
        "revision": 1,
        "seq": resolved["id"],
        "chain": resolved["hash"],
    }
    assert token.header["typ"] == "assent-receipt+jwt"


async def test_a_receipt_is_about_what_was_approved_after_edits(product: Product) -> None:
    form = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    request = await product.submit(payload=PAYLOAD, form=form)
    await product.answer(request, "approve", "ana@example.com", values={"amount": 900})
    token = verified(await receipt_of(product, request), await published(product))
    assert token.claims["payload_digest"] == payload_digest(PAYLOAD | {"amount": 900})


async def test_a_changed_receipt_proves_nothing(product: Product) -> None:
    rejected = await product.submit(payload=PAYLOAD)
    await product.answer(rejected, "reject", "ana@example.com")
    approved = await product.submit(level="info")
    head, _, signature = (await receipt_of(product, rejected)).split(".")
    claims = (await receipt_of(product, approved)).split(".")[1]
    with pytest.raises(BadSignatureError):
        verified(f"{head}.{claims}.{signature}", await published(product))


async def test_receipts_outlive_a_change_of_the_signing_keys(sqlite_url: str) -> None:
    async with running(sqlite_url, assent_secret_keys=OLD) as product:
        request = await product.submit(level="info")
        old = await receipt_of(product, request)
    async with running(sqlite_url, assent_secret_keys=f"{NEW},{OLD}") as product:
        keys, new = await published(product), await receipt_of(product, request)
        assert verified(old, keys).claims["sub"] == verified(new, keys).claims["sub"] == request["id"]
        assert verified(new, keys).header["kid"] != verified(old, keys).header["kid"]
    async with running(sqlite_url, assent_secret_keys=NEW) as product:
        keys = await published(product)
        assert verified(new, keys)
        with pytest.raises(InvalidKeyIdError):
            verified(old, keys)
