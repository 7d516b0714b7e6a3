"""Forms: what they may be, how their fields are read, and what is wrong with values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.forms import forms
from bot.domain.forms.form_schema import form_faults
from bot.domain.model.spec import Kind
from tests.support.asking import asked, somebody

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.model.request import Request

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "minimum": 1, "maximum": 100},
        "rate": {"type": "number"},
        "day": {"type": "string", "format": "date"},
        "note": {"type": ["string", "null"], "maxLength": 20, "description": "For the books"},
        "fast": {"type": "boolean"},
        "region": {"$ref": "#/$defs/Region"},
        "tags": {"anyOf": [{"type": "array", "items": {"enum": ["a", "b"]}}, {"type": "null"}]},
        "env": {"type": "string", "default": "prod"},
        "customer": {"type": "object", "readOnly": True},
    },
    "required": ["amount", "env"],
    "$defs": {"Region": {"oneOf": [{"const": "eu", "title": "us"}, {"const": "us", "title": "eu"}]}},
}
PAYLOAD = {"amount": 5, "customer": {"id": 1, "flags": [1]}, "hidden": True}


def filled(payload: Any = PAYLOAD, form: Any = FORM) -> Request:
    return asked(somebody("ana"), form=form, payload=payload)


def faults(values: dict[str, Any], payload: Any = PAYLOAD) -> dict[str, str]:
    return {f.pointer: f.detail for f in forms.value_faults(filled(payload), values)}


def test_every_kind_of_field_is_known_with_its_title_options_and_value() -> None:
    fields = {f.name: f for f in forms.fields(filled())}
    assert {n: f.kind for n, f in fields.items() if n != "customer"} == {
        "amount": "integer",
        "rate": "number",
        "day": "date",
        "note": "text",
        "fast": "boolean",
        "region": "option",
        "tags": "options",
        "env": "text",
    }
    assert (fields["amount"].value, fields["amount"].required, fields["amount"].title) == (5, True, "Amount")
    assert (fields["note"].description, fields["note"].long, fields["env"].long) == (
        "For the books",
        False,
        True,
    )
    assert fields["region"].options == (("eu", "us"), ("us", "eu"))
    assert fields["tags"].options == (("a", "a"), ("b", "b"))
    assert (fields["customer"].read_only, fields["customer"].value) == (True, {"id": 1, "flags": [1]})
    assert (fields["env"].value, fields["env"].assumed) == ("prod", True)


def test_what_is_typed_is_read_as_its_kind_and_only_what_differs_is_kept() -> None:
    typed = {
        "amount": "5",
        "rate": "2.5",
        "day": "2026-11-21",
        "note": " ",
        "fast": "yes",
        "region": "us",
        "tags": ["b"],
        "customer": "mine",
    }
    values = {"rate": 2.5, "day": "2026-11-21", "fast": True, "region": "us", "tags": ["b"]}
    assert forms.read(filled(), typed) == (values, [])
    wrong = {"amount": "2.5", "rate": "nan", "fast": "perhaps", "region": "asia"}
    assert [f.pointer for f in forms.read(filled(), wrong)[1]] == [
        "/values/amount",
        "/values/rate",
        "/values/fast",
        "/values/region",
    ]


def test_an_option_is_taken_by_its_value_before_any_other_ones_label() -> None:
    assert forms.read(filled(), {"region": "eu"})[0] == {"region": "eu"}


def test_a_default_that_somebody_saw_and_left_is_their_value() -> None:
    assert forms.read(filled(), {"env": "prod"})[0] == {"env": "prod"}
    assert faults({"env": "prod"}) == {}
    assert faults({}) == {"/values/env": "is needed"}


@pytest.mark.parametrize(
    ("values", "pointer", "words"),
    [
        ({"amount": 101}, "/values/amount", "must be at most 100"),
        ({"amount": True}, "/values/amount", "must be a whole number"),
        ({"amount": None}, "/values/amount", "is needed"),
        ({"note": "x" * 21}, "/values/note", "must have at most 20 characters"),
        ({"day": "soon"}, "/values/day", "must be a valid date"),
        ({"rate": 2**60}, "/values/rate", "is an integer that JSON numbers cannot carry exactly"),
        ({"hidden": False}, "/values/hidden", "is no field of this form"),
        ({"customer": None}, "/values/customer", "may only be read, not changed"),
        ({"customer": {"id": 2, "flags": [1]}}, "/values/customer", "may only be read, not changed"),
        ({"customer": {"id": True, "flags": [1]}}, "/values/customer", "may only be read, not changed"),
        ({"customer": {"id": 1, "flags": [True]}}, "/values/customer", "may only be read, not changed"),
    ],
)
def test_every_fault_is_told_at_its_field(values: dict[str, Any], pointer: str, words: str) -> None:
    found = faults({"env": "prod", **values})
    assert list(found) == [pointer]
    assert found[pointer].startswith(words)


def test_no_fault_hides_another() -> None:
    assert faults({"amount": "x", "note": 5, "rate": 2**60, "other": 1, "customer": None}) == {
        "/values/amount": "must be a whole number",
        "/values/note": "must be a text or empty",
        "/values/rate": "is an integer that JSON numbers cannot carry exactly; send a text, or stay below 2^53",
        "/values/other": f"is no field of this form; its fields are {', '.join(FORM['properties'])}",
        "/values/customer": "may only be read, not changed",
        "/values/env": "is needed",
    }


def test_a_field_has_its_fault_once() -> None:
    form = {
        "type": "object",
        "properties": {"a/b": {"type": "string"}, "c": {"type": "string", "readOnly": True}},
        "required": ["a/b"],
    }
    found = forms.value_faults(filled({"c": "x"}, form), {"a/b": {"deep": 2**60}, "c": 5})
    assert sorted(f.pointer for f in found) == ["/values/a~1b/deep", "/values/c"]


def test_every_field_that_is_missing_has_its_own_fault() -> None:
    form = {"type": "object", "properties": {n: {"type": "string"} for n in "abc"}, "required": [*"abc"]}
    found = forms.value_faults(filled({"b": "x"}, form), {})
    assert [(f.pointer, f.detail) for f in found] == [("/values/a", "is needed"), ("/values/c", "is needed")]


@pytest.mark.parametrize(
    ("step", "good", "bad"),
    [
        (0.01, [19.99, 4.35, 1250.1, 0.07, -33.33, 3, 0, 1e300], [19.995, 1e-3]),
        (0.1, [0.3, 1.1], [0.25]),
        (5, [10, 10.0, 1e300], [12, 10.5]),
        (5e-324, [1e300], []),
    ],
)
def test_multiples_are_counted_in_decimals(step: float, good: list[float], bad: list[float]) -> None:
    request = filled({}, {"type": "object", "properties": {"it": {"type": "number", "multipleOf": step}}})
    assert [number for number in good if forms.value_faults(request, {"it": number})] == []
    for number in bad:
        (fault,) = forms.value_faults(request, {"it": number})
        assert (fault.pointer, fault.detail) == ("/values/it", f"must be a multiple of {step}")


def test_a_nullable_field_may_be_left_empty_even_where_it_is_required() -> None:
    form = {
        "type": "object",
        "properties": {"note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["note"],
    }
    assert forms.value_faults(filled({}, form), {}) == []
    assert forms.value_faults(filled({}, form), {"note": None}) == []


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("^(a+)+$", "repeats what may itself repeat without end"),
        (r"(\w+\s?)*$", "repeats what may itself repeat without end"),
        ("(?:(x*){2,})*", "repeats what may itself repeat without end"),
        (r"(a)\1", "refers back, `\\1`"),
        ("(?<!a)b", "looks around, `(?<!`"),
        ("(a{1000}){1000}", "stands for more than 2000 characters"),
        ("a" * 1001, "has more than 1000 characters"),
        ("(" * 21 + ")" * 21, "has more than 20 groups"),
        ("(", "is no pattern that can be matched in bounded time"),
        (r"[^c]{250}", "stands for more than 2000 characters"),
    ],
)
def test_a_pattern_that_could_take_long_is_refused_at_its_place(pattern: str, words: str) -> None:
    (fault,) = form_faults(
        {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}, {}
    )
    assert fault.pointer == "/form/properties/x/pattern"
    assert fault.detail.startswith(words)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^[a-z]+(-[a-z]+)*$", "a-slug-like-this", "a--b"),
        (r"^(\d{1,3}\.){3}\d{1,3}$", "10.0.0.1", "10.0.0"),
        (r"^[\w.+-]{1,64}@[\w.-]{1,200}$", "ana@example.com", "ana"),
        ("^(?:RE|INV)-[0-9]{4,8}$", "INV-12345", "INV-1"),
        (r"^\w{200}$", "x" * 200, "x" * 199),
        (r"[\]x][^\]]?$", "]", "ab"),
    ],
)
def test_patterns_that_people_write_are_matched(pattern: str, good: str, bad: str) -> None:
    form = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}
    assert form_faults(form, {}) == []
    assert forms.value_faults(filled({}, form), {"x": good}) == []
    (fault,) = forms.value_faults(filled({}, form), {"x": bad})
    assert (fault.pointer, fault.detail) == ("/values/x", f"must look like {pattern}")


def test_feedback_has_a_form_of_its_own() -> None:
    request = asked(somebody("ana"), kind=Kind.FEEDBACK)
    assert [(f.name, f.required) for f in forms.fields(request)] == [("score", True), ("comment", False)]
    assert [f.detail for f in forms.value_faults(request, {"score": 1.5})] == ["must be at most 1"]


def nested(depth: int, step: Callable[[Any], Any], value: Any) -> Any:
    """`value` with `step` put around it so many times."""
    for _ in range(depth):
        value = step(value)
    return value


def doubling(times: int) -> dict[str, Any]:
    """A form of a few lines that says 2ᵗⁱᵐᵉˢ things of its field."""
    named = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, times + 1)}
    field = {"$ref": f"#/$defs/d{times}", "type": "string"}
    return {"properties": {"x": field}, "$defs": {"d0": {"type": "string"}, **named}}


@pytest.mark.parametrize(
    ("form", "pointer", "words"),
    [
        (doubling(20), "/form", "has more schemas than can be checked at once; it may have 5000"),
        (doubling(80), "/form", "has more than 64 schemas in one another"),
        (
            {"properties": {f"x{n}": {"type": "string", "pattern": r"\w{200}"} for n in range(200)}},
            "/form",
            "has patterns that are too long together",
        ),
        (
            {
                "properties": {f"x{n}": {"$ref": "#/$defs/many"} for n in range(200)},
                "$defs": {"many": {"enum": list(range(500))}},
            },
            "/form",
            "has more options than can be checked at once",
        ),
        ({"properties": {"x": {"enum": ["x" * 70_000]}}}, "/form", "has 70"),
        (
            {"properties": {"x": {"$dynamicRef": "#d0"}}},
            "/form/properties/x/$dynamicRef",
            "`$dynamicRef` is not checked in forms; write the reference as `$ref`",
        ),
        (
            {"properties": {"x": {"type": "string"}}, "dependentSchemas": {}},
            "/form/dependentSchemas",
            "`dependentSchemas` is not checked in forms; use `dependentRequired`",
        ),
        (
            {"properties": {"x": {"allOf": [{}, {"unevaluatedProperties": False}]}}},
            "/form/properties/x/allOf/1/unevaluatedProperties",
            "`unevaluatedProperties` is not checked in forms; use `additionalProperties`",
        ),
        (
            {"properties": {"x": {"type": "number", "minimun": 5}}},
            "/form/properties/x/minimun",
            "is no word of forms",
        ),
    ],
)
def test_a_form_outside_the_dialect_is_refused_where_it_leaves_it(
    form: dict[str, Any], pointer: str, words: str
) -> None:
    (fault,) = form_faults({"type": "object", **form}, {})
    assert (fault.pointer, fault.detail[: len(words)]) == (pointer, words)


def test_what_only_says_how_a_field_looks_may_stand_in_a_form() -> None:
    field = {"type": "string", "x-order": 1, "examples": ["a"], "$comment": "-", "deprecated": False}
    schema = "https://json-schema.org/draft/2020-12/schema"
    form = {"$schema": schema, "$id": "https://example.com/x", "type": "object", "properties": {"x": field}}
    assert form_faults(form, {}) == []
    assert forms.value_faults(filled({}, form), {"x": "a"}) == []


SMALL = [{"n": n, "flags": [n, str(n)]} for n in range(4000)]


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "array", "uniqueItems": True}, SMALL, "has more than 1000 items"),
        ({"items": {"enum": list(range(90))}}, [0] * 9000, "is more than this form can be held against"),
        (
            {"items": {"anyOf": [{"properties": {"n": {"const": n}}} for n in range(300)]}},
            SMALL,
            "is more than this form can be held against",
        ),
        ({"pattern": "[ab]*a[ab]{300}c"}, "ab" * 50_000, "is more than this form can be held against"),
    ],
    ids=["unique", "enum", "branches", "pattern"],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_payload_that_would_take_long_to_check_is_refused(
    schema: Any, value: Any, words: str, *, read_only: bool
) -> None:
    field = {"type": "array" if isinstance(value, list) else "string", **schema, "readOnly": read_only}
    form = {"type": "object", "properties": {"x": field}}
    (fault,) = forms.read_only_faults(form, {"x": value})
    assert (fault.pointer, fault.detail[: len(words)]) == ("/payload/x", words)
    (fault,) = forms.value_faults(filled({"x": value}, form), {})
    assert (fault.pointer, fault.detail[: len(words)]) == ("/values/x", words)


def test_a_long_table_is_held_against_its_columns() -> None:
    columns = {"n": {"type": "integer"}, "flags": {"type": "array", "items": {"type": ["integer", "string"]}}}
    table = {"type": "array", "items": {"type": "object", "properties": columns}, "readOnly": True}
    form = {"type": "object", "properties": {"x": table, "y": {"type": "string"}}, "required": ["y"]}
    assert form_faults(form, {"x": SMALL}) == []
    assert forms.read_only_faults(form, {"x": SMALL}) == []
    (fault,) = forms.read_only_faults(form, {"x": [*SMALL, {"n": "x"}]})
    assert fault.detail.startswith("is not what the form says; it is too long to say where, as the form says")
    (fault,) = forms.read_only_faults(form, {"x": [*SMALL[:9], {"n": "x"}]})
    assert (fault.pointer, fault.detail[:22]) == ("/payload/x/9/n", "must be a whole number")


def test_a_form_from_before_there_were_rules_says_so_when_it_is_answered() -> None:
    loop = {"properties": {"c": {"$ref": "#/$defs/n"}}}
    form = {"type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}, "$defs": {"n": loop}}
    (fault,) = forms.value_faults(filled({}, form), {"x": 1})
    assert (fault.pointer, fault.detail.partition(":")[0]) == ("/values", "cannot be checked")


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        ({"type": "integer", "maximum": 10**30}, "/form/properties/x/maximum", "is an integer that JSON"),
        ({"type": "integer", "default": 2**64}, "/form/properties/x/default", "is an integer that JSON"),
        ({"enum": [1, 10**30]}, "/form/properties/x/enum/1", "is an integer that JSON"),
        (
            {"type": "string", "default": nested(500, lambda inner: [inner], 1)},
            "/form/properties/x/default" + "/0" * 62,
            "is nested more than 64 levels deep",
        ),
        (
            nested(100, lambda inner: {"allOf": [inner]}, {"type": "string"}),
            "/form/properties/x" + "/allOf/0" * 31 + "/allOf",
            "is nested more than 64 levels deep",
        ),
    ],
    ids=["maximum", "default", "enum", "deep default", "deep schema"],
)
def test_a_form_holds_what_json_can_carry(schema: Any, pointer: str, words: str) -> None:
    (fault,) = form_faults({"type": "object", "properties": {"x": schema}}, {})
    assert fault.pointer == pointer
    assert fault.detail.startswith(words)


def test_what_must_be_there_is_a_field_or_in_the_payload() -> None:
    form = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "zz"]}
    for payload in (None, {"a": "x"}):
        (fault,) = form_faults(form, payload)
        assert fault.pointer == "/form/required/1"
        assert "'zz'" in fault.detail
    assert form_faults(form, {"a": "x", "zz": 1}) == []
    assert forms.value_faults(filled({"a": "x", "zz": 1}, form), {}) == []


@pytest.mark.parametrize(
    ("schema", "payload", "pointers"),
    [
        ({"type": "string"}, {"it": "x"}, []),
        ({"type": ["string", "null"]}, {}, []),
        ({"type": "string"}, {}, ["/payload/it"]),
        ({"type": "string"}, {"it": None}, ["/payload/it"]),
        ({"type": "string", "default": "x"}, {}, ["/payload/it"]),
        ({"type": "string"}, {"it": 5}, ["/payload/it"]),
        ({"properties": {"n": {"type": "number"}}}, {"it": {"n": "x"}}, ["/payload/it/n"]),
    ],
)
def test_what_nobody_may_change_is_as_the_form_says(schema: Any, payload: Any, pointers: list[str]) -> None:
    properties = {"it": {**schema, "readOnly": True}, "item": {"type": "string"}}
    form = {"type": "object", "properties": properties, "required": ["it", "item"]}
    assert form_faults(form, payload) == []
    assert [f.pointer for f in forms.read_only_faults(form, payload)] == pointers


LOOP = {"anyOf": [{"$ref": "#/$defs/loop"}]}


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"type": "object", "properties": {}}, "must be a JSON Schema"),
        ({"type": "object", "properties": {"x": {"type": "strin"}}}, "is no valid JSON Schema"),
        ({"type": "object", "properties": {"x": {"type": "object"}}}, "cannot be shown as a field"),
        ({"type": "object", "properties": {"x": {"$ref": "https://example.com/x"}}}, "refers to 'https:"),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/none"}}}, "refers to '#/$defs/none'"),
        ({"type": "object", "properties": {"x": LOOP}, "$defs": {"loop": LOOP}}, "refers to '#/$defs/loop'"),
        (
            {"type": "object", "properties": {"x": {"type": "string", "pattern": r"(a)\1"}}},
            r"refers back, `\1`",
        ),
        ({"type": "object", "properties": {"x": {"enum": list(range(101))}}}, "has more than 100 options"),
        ({"type": "object", "properties": {"x": {"type": "string", "enum": []}}}, "has no options"),
        ({"type": "object", "properties": {"x": {"enum": [None]}}}, "has no options"),
        ({"type": "object", "properties": {"x": {"type": "array", "items": {"enum": []}}}}, "has no options"),
        (
            {"type": "object", "properties": {"x": {"$ref": "#/$defs/a/b"}}, "$defs": {"a/b": {}}},
            "refers to '#/$defs/a/b'",
        ),
        (
            {"type": "object", "properties": {"x": {"$ref": "#/$defs/a%20b"}}, "$defs": {"a%20b": {}}},
            "refers to '#/$defs/a%20b'",
        ),
        (
            {
                "type": "object",
                "properties": {"x": {"$id": "https://example.com/x", "$ref": "#/$defs/d"}},
                "$defs": {"d": {"type": "string"}},
            },
            "`$id` is not checked in forms; only the whole form may have one",
        ),
        (
            {"type": "object", "properties": {f"f{n}": {"type": "string"} for n in range(201)}},
            "are more than 200",
        ),
    ],
)
def test_a_form_that_nobody_could_fill_in_is_refused(form: dict[str, Any], words: str) -> None:
    (fault,) = form_faults(form, {})
    assert fault.detail.startswith(words)


def test_a_form_describes_the_members_of_an_object() -> None:
    assert form_faults(FORM, PAYLOAD) == []
    assert [f.pointer for f in form_faults(FORM, [1])] == ["/payload"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("uri", "https://example.com/a?b=ü", "example.com"),
        ("uri", "mailto:ana@example.com", "https://a b"),
        ("email", "ana@example.com", "ana"),
        ("date", "2026-12-24", "24.12.2026"),
    ],
)
def test_a_text_has_the_format_that_the_form_names(kind: str, good: str, bad: str) -> None:
    form = {"type": "object", "properties": {"it": {"type": "string", "format": kind}}}
    request = filled({}, form)
    assert forms.value_faults(request, {"it": good}) == []
    (fault,) = forms.value_faults(request, {"it": bad})
    assert (fault.pointer, fault.detail) == ("/values/it", f"must be a valid {kind}")
