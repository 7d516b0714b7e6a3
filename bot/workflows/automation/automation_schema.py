"""The file of an automation: its elements, and every fault with its line and how to mend it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.workflows.automation import expressions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Place = tuple[str | int, ...]
"""Where something stands in the document: keys and indexes."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Fault(NamedTuple):
    """One thing wrong, and how to mend it; `line` is None where the input is at fault."""

    line: int | None
    element: str | None
    message: str

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else "input"
        return ": ".join(part for part in (line, self.element, self.message) if part)


class AutomationError(ValueError):
    """An automation cannot be run as it stands; nothing of it was. `faults` lists everything wrong with it."""

    def __init__(self, name: str, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(f"{name}: {fault}" for fault in faults))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HitlSpec(_Part):
    """The fields of a request, with places for values."""

    title: str
    audience: Any = None
    destination: Any = None
    message: Any = None
    details: Any = None
    quorum: Any = None
    reject_quorum: Any = None
    kind: Any = None
    choices: Any = None
    feedback_type: Any = None
    allow_skip: Any = None
    payload: Any = None
    form: Any = None
    level: Any = None
    verification_phrase: Any = None
    reason: Any = None
    steps: Any = None
    timeout_seconds: Any = None
    timeout_at: Any = None
    on_timeout: Any = None
    remind_after_seconds: Any = None
    escalation: Any = None
    grace_seconds: Any = None
    allow_self_approval: Any = None
    callback_url: Any = None
    requester: Any = None
    labels: dict[str, Any] = {}
    source_url: Any = None


class PythonSpec(_Part):
    """A function, `module:function` or `file.py:function` beside the automation, and its keyword arguments."""

    call: Annotated[str, StringConstraints(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$")]
    arguments: dict[str, Any] = Field(default={}, alias="with")


class NotifySpec(_Part):
    """What to tell whom."""

    message: str
    audience: Any = None
    destination: Any = None


class Hitl(_Part):
    """A gate: people decide."""

    kind: Literal["hitl"]
    id: Name
    spec: HitlSpec


class Python(_Part):
    """An action."""

    kind: Literal["python"]
    id: Name
    spec: PythonSpec


class Notify(_Part):
    """Something told without asking."""

    kind: Literal["notify"]
    id: Name
    spec: NotifySpec


class Condition(_Part):
    """A fork."""

    kind: Literal["condition"]
    id: Name
    test: str = Field(alias="if")
    then: list[Element] = []
    otherwise: list[Element] = Field(default=[], alias="else")


Element = Annotated[Hitl | Python | Notify | Condition, Field(discriminator="kind")]


class Document(_Part):
    """An automation."""

    automation: str
    description: str = ""
    input: dict[str, Any] = {}
    elements: Annotated[list[Element], Field(min_length=1)]


@dataclass(frozen=True)
class Source:
    """A document, and where in its text everything stands."""

    document: Document
    lines: Mapping[Place, int]

    def walk(self) -> Iterator[tuple[Place, Hitl | Python | Notify | Condition]]:
        """Yield all elements in the order of the text, with their places."""
        yield from _walk(("elements",), self.document.elements)

    def texts(self) -> Iterator[tuple[Place, Hitl | Python | Notify | Condition, str]]:
        """Yield what speaks of values: the condition of each fork, and each place in a text, without its braces."""
        for place, element in self.walk():
            if isinstance(element, Condition):
                yield (*place, "if"), element, element.test
                continue
            for field, value in element.spec.model_dump(by_alias=True).items():
                for text in expressions.places(value):
                    yield (*place, "spec", field), element, text

    def fault(self, place: Place, element: str, message: str) -> Fault:
        """Return a fault at the line of a place, or of what it stands in."""
        return Fault(_line(self.lines, place), element, message)


def read(text: str, name: str, folder: Path) -> Source:
    """Read the text of an automation; raises AutomationError with every fault."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines, twice = dict(_lines(root, ())) if root else {}, list(_twice(root)) if root else []
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise AutomationError(name, [Fault(line, None, f"this is not YAML: {error.problem}")]) from None
    try:
        source = Source(Document.model_validate(data), lines)
    except ValidationError as error:
        faults = [_fault(data, lines, dict(found)) for found in error.errors(include_url=False)]
        raise AutomationError(name, twice + faults) from None
    if faults := twice + list(_check(source, folder)):
        raise AutomationError(name, sorted(faults, key=lambda fault: fault.line or 0))
    return source


def function(call: str, folder: Path) -> Callable[..., Any]:
    """Return what a `call` names; raises LookupError where it is not there."""
    where, _, name = call.partition(":")
    try:
        module = _file(folder / where) if where.endswith(".py") else importlib.import_module(where)
    except FileNotFoundError:
        raise LookupError(f"there is no file {where} beside the automation") from None
    except ImportError as error:
        raise LookupError(f"{where} cannot be imported: {error}") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise LookupError(f"{where} has no function {name}")  # noqa: TRY004 - what was looked for is not there
    return found  # type: ignore[no-any-return]  # getattr gives Any


@cache
def _file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(source: Source, folder: Path) -> Iterator[Fault]:
    known = {"input": 0}
    for number, (place, element) in enumerate(source.walk(), start=1):
        if element.id in known:
            yield source.fault((*place, "id"), element.id, "this id is taken: give it another")
        known.setdefault(element.id, number)
        if isinstance(element, Python):
            yield from _check_call(source, place, element, folder)
    for place, element, text in source.texts():
        before = sorted(id for id, number in known.items() if number < known[element.id])
        try:
            unknown = expressions.names(expressions.parse(text)) - set(before)
        except ValueError as error:
            yield source.fault(place, element.id, str(error))
            continue
        for missing in sorted(unknown):
            yield source.fault(
                place, element.id, f"there is no {missing!r} before it, only {', '.join(before)}"
            )


def _check_call(source: Source, place: Place, element: Python, folder: Path) -> Iterator[Fault]:
    spec = element.spec
    try:
        inspect.signature(function(spec.call, folder)).bind(**spec.arguments)
    except LookupError as error:
        yield source.fault((*place, "spec", "call"), element.id, str(error))
    except TypeError as error:
        yield source.fault((*place, "spec"), element.id, f"`with` does not fit {spec.call}: {error}")


def _walk(place: Place, elements: list[Any]) -> Iterator[tuple[Place, Any]]:
    for index, element in enumerate(elements):
        here = (*place, index)
        yield here, element
        if isinstance(element, Condition):
            yield from _walk((*here, "then"), element.then)
            yield from _walk((*here, "else"), element.otherwise)


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    """Yield the line of each part of a document, counted from 1."""
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from (
                (p, line) for p, line in _lines(value, (*place, key.value)) if p != (*place, key.value)
            )
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*place, index))


def _twice(node: yaml.Node) -> Iterator[Fault]:
    """Yield keys that stand twice in one map: YAML would keep the last without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Fault(key.start_mark.line + 1, None, f"{key.value!r} stands here twice: leave one out")
            seen.add(key.value)
            yield from _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item)


def _line(lines: Mapping[Place, int], place: Place) -> int | None:
    while place not in lines and place:
        place = place[:-1]
    return lines.get(place)


def _fault(data: Any, lines: Mapping[Place, int], error: dict[str, Any]) -> Fault:
    """Return a fault of validation; its location also names the kinds of elements, which are not in the document."""
    place: Place = ()
    element, value = None, data
    for part in error["loc"]:
        if (*place, part) in lines:
            place, value = (*place, part), value[part]
            element = value.get("id", element) if isinstance(value, Mapping) else element
    field = str(error["loc"][-1]) if error["loc"] else ""
    match error["type"]:
        case "missing":
            message = f"`{field}` is needed"
        case "extra_forbidden":
            message = f"`{field}` is not known here: check the spelling or leave it out"
        case "union_tag_not_found" | "union_tag_invalid":
            message = "`kind` must be hitl, python, notify or condition"
        case "string_pattern_mismatch" if field == "call":
            message = "`call` must be module:function, or file.py:function"
        case "string_pattern_mismatch":
            message = f"`{field}` must be a name of letters, digits and _"
        case _:
            what = error["msg"].removeprefix("Input ")
            message = f"`{field}` {what[0].lower()}{what[1:]}" if field else f"the document {what}"
    return Fault(_line(lines, place), element, message)
