"""Canonical JSON and the digest of a payload, by the standard's own examples."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pytest

from bot.domain.errors import Invalid
from bot.domain.model.digest import (
    MAX_DEPTH,
    SAFE_INTEGER,
    canonical,
    check_canonical,
    escape_pointer,
    payload_digest,
)


def test_the_example_of_rfc_8785_section_3_2() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical(value) == (
        rb'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        rb'"string":"' + "€".encode() + rb"""$\u000f\nA'B\"\\\\\"/"}"""
    )


def test_keys_are_sorted_by_utf_16_as_section_3_2_3_shows() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    pairs = [canonical({k: 0})[1:-1] for k in ordered]
    assert canonical(dict.fromkeys(keys, 0)) == b"{" + b",".join(pairs) + b"}"


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"), ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"), ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"), ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"), ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"), ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555554", "333333333.33333325"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_appendix_b_says(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == text.encode()


def test_a_digest_is_of_the_value_not_of_how_it_was_written() -> None:
    digest = payload_digest({"b": 1.0, "a": "é"})
    assert digest == payload_digest({"a": "é", "b": 1})
    assert digest == "sha256:" + hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()
    assert payload_digest(None) == "sha256:" + hashlib.sha256(b"null").hexdigest()


def faults(value: Any) -> dict[str, str]:
    try:
        check_canonical(value, "/payload")
    except Invalid as error:
        return {f.pointer: f.detail for f in error.faults}
    return {}


class TestWhatCannotBeSignedExactly:
    @pytest.mark.parametrize("number", [SAFE_INTEGER + 1, -SAFE_INTEGER - 1, 2**64, float(2**53), 1e20])
    def test_big_integers_are_refused_where_they_stand(self, number: float) -> None:
        assert set(faults({"a": [{"b/c~": number}]})) == {"/payload/a/0/b~1c~0"}

    @pytest.mark.parametrize("number", [SAFE_INTEGER, -SAFE_INTEGER, 0, 0.1, 1e21, 1.5e300, True])
    def test_other_numbers_are_fine(self, number: float) -> None:
        assert faults({"a": number}) == {}
        assert canonical(number)

    def test_every_place_is_named(self) -> None:
        assert set(faults([2**60, 1, {"x": 2**61}])) == {"/payload/0", "/payload/2/x"}

    def test_nesting_has_an_end(self) -> None:
        def nested(depth: int) -> Any:
            value: Any = 1
            for _ in range(depth):
                value = [value]
            return value

        assert faults(nested(MAX_DEPTH)) == {}
        assert faults(nested(MAX_DEPTH + 1)) == {
            "/payload"
            + "/0" * (MAX_DEPTH + 1): f"is nested more than {MAX_DEPTH} levels deep; send it flatter"
        }
        assert faults(nested(50_000))


def test_pointers_are_escaped() -> None:
    assert escape_pointer("a/b~c~1") == "a~1b~0c~01"
