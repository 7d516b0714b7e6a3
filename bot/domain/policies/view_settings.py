"""`[[views]]` as the configuration has them → views; every fault is named with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from bot.domain.payload.views import Format, View, ViewField
from bot.domain.policies.policy import when_fault

FORMATS: tuple[str, ...] = get_args(Format)
MOST_DIGITS = 12
"""Of `exponent`, either way."""
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_MEMBERS = frozenset({"name", "when", "fields"})
_OF_FIELD = frozenset({"path", "label", "as", "currency", "exponent"})


def views_of(raw: Any) -> tuple[View, ...]:
    """The views; raises ValueError with all that is wrong with them."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise ValueError("must be a list of tables: write [[views]]")  # noqa: TRY004 - a fault of what was written
    if raw and all(isinstance(view, View) for view in raw):
        return tuple(raw)
    faults = [fault for number, view in enumerate(raw, 1) for fault in _faults(view, f"view {number}")]
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(_view(view, number) for number, view in enumerate(raw, 1))


def _view(raw: Mapping[str, Any], number: int) -> View:
    fields = tuple(
        ViewField(
            path=each["path"],
            label=each.get("label"),
            format=each.get("as"),
            currency=each.get("currency"),
            exponent=each.get("exponent", 0),
        )
        for each in raw["fields"]
    )
    return View(name=raw.get("name") or f"view {number}", when=raw.get("when", {}), fields=fields)


def _faults(raw: Any, place: str) -> Iterator[str]:
    if not isinstance(raw, Mapping):
        yield f"{place}: must be a table with `fields`"
        return
    if isinstance(named := raw.get("name"), str) and named:
        place = f"{place} ({named})"
    elif "name" in raw:
        yield f"{place}: name must be a text"
    yield from _unknown(raw, _MEMBERS, place)
    when, fields = raw.get("when", {}), raw.get("fields")
    if not isinstance(when, Mapping):
        yield f"{place}: when must be a table, as in policies"
    elif fault := when_fault(when):
        yield f"{place}: when: {fault}"
    if not isinstance(fields, Sequence) or isinstance(fields, str) or not fields:
        yield f'{place}: fields must be a list such as [{{ path = "/amount", as = "money" }}]'
        return
    for index, each in enumerate(fields, 1):
        yield from _field_faults(each, f"{place}, field {index}")


def _field_faults(raw: Any, place: str) -> Iterator[str]:
    if not isinstance(raw, Mapping):
        yield f'{place}: must be a table such as {{ path = "/amount" }}'
        return
    yield from _unknown(raw, _OF_FIELD, place)
    if "path" not in raw:
        yield f"{place}: path is missing, a JSON pointer into the payload such as /arguments/amount"
    elif not _is_pointer(raw["path"]):
        yield f"{place}: path {raw['path']!r} is no JSON pointer; one is written like /arguments/amount"
    if "label" in raw and not (isinstance(raw["label"], str) and raw["label"].strip()):
        yield f"{place}: label must be a text"
    look = raw.get("as")
    if "as" in raw and look not in FORMATS:
        yield f"{place}: as {look!r} is unknown; there are {', '.join(FORMATS)}"
    yield from _money_faults(raw, place)


def _money_faults(raw: Mapping[str, Any], place: str) -> Iterator[str]:
    given = sorted({"currency", "exponent"} & raw.keys())
    if given and raw.get("as") != "money":
        yield f'{place}: {" and ".join(given)} belong to as = "money"'
    currency, exponent = raw.get("currency", ""), raw.get("exponent", 0)
    if not isinstance(currency, str) or (currency.startswith("/") and not _is_pointer(currency)):
        yield f"{place}: currency must be a code such as EUR, or a JSON pointer such as /currency"
    if isinstance(exponent, bool) or not isinstance(exponent, int) or not 0 <= exponent <= MOST_DIGITS:
        yield f"{place}: exponent must be a whole number from 0 to {MOST_DIGITS}: 2 makes 4821 read 48.21"


def _is_pointer(path: Any) -> bool:
    return isinstance(path, str) and _POINTER.fullmatch(path) is not None


def _unknown(raw: Mapping[str, Any], known: frozenset[str], place: str) -> Iterator[str]:
    if unknown := sorted(map(str, raw.keys() - known)):
        yield f"{place}: unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}"
