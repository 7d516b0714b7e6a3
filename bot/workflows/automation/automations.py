"""Automations: a YAML file whose elements are run durably, with people as gates.

    automation: refund
    elements:
      - id: approval
        kind: hitl
        spec: {title: "Refund {{ input.order }}?", audience: ["email:ana@example.com"]}
      - id: decision
        kind: condition
        if: approval.approved
        then: [{id: refund, kind: python, spec: {call: "refunds.py:refund", with: {order: "{{ input.order }}"}}}]
        else: [{id: tell, kind: notify, spec: {message: "{{ approval.text }}", audience: [ana@example.com]}}]

`hitl` asks with the fields of a request; without an audience of its own it asks `input.audience`. A gate that is not
approved ends the run as rejected, unless the next element is a condition that names it. `python` calls a function once,
`notify` tells people, `condition` runs one branch. Texts and conditions speak of `input` and of earlier elements by
id: the result of a function; of a gate `approved`, `status`, `decision`, `choice`, `reason`, `values`, `payload`,
`edited`, `by` and `text`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bot.workflows.automation import expressions
from bot.workflows.automation.automation_schema import (
    AutomationError,
    Condition,
    Fault,
    Hitl,
    Notify,
    Python,
    Source,
    function,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.client import Client, Outcome, Request
    from bot.workflows.context import Ctx
    from bot.workflows.durable import Durable

WORKFLOW = "automation"
"""The workflow that runs automations; its input is `{"source", "name", "folder", "input"}`."""

WHO = ("audience", "destination", "steps")
"""The fields of a request that name people."""

NO_AUDIENCE = "HITL_NO_AUDIENCE"
NOBODY = f"{NO_AUDIENCE}: nobody would be asked: set spec.audience, or give `audience` in the input"

Json = Any


class Automation:
    """An automation that can be run: whatever the file itself can tell has been checked."""

    def __init__(self, text: str, name: str, folder: Path) -> None:
        """Read the text of the file `name`, whose functions stand in `folder`; raises AutomationError."""
        self.text = text
        self.name = name
        self.folder = folder
        self._source: Source = read(text, name, folder)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file; raises AutomationError with every fault of it, and OSError."""
        path = Path(path)
        return cls(path.read_text(encoding="utf-8"), path.name, path.resolve().parent)

    @classmethod
    def of_run(cls, document: Mapping[str, Json]) -> Self:
        """Read what a run was started with."""
        return cls(document["source"], document["name"], Path(document["folder"]))

    def run_input(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return the input of a run: the text as it is now, and its input with what the file presets.

        Raises AutomationError where the input lacks something, nobody would be asked above all.
        """
        values = {**self._source.document.input, **given}
        if faults := [*self._missing(values), *self._unasked(values)]:
            raise AutomationError(self.name, faults)
        return {"source": self.text, "name": self.name, "folder": str(self.folder), "input": values}

    def gate(self, id: str, client: Client) -> Gate:
        """Return the `hitl` element of that id; raises LookupError."""
        for _, element in self._source.walk():
            if isinstance(element, Hitl) and element.id == id:
                return Gate(self, element, client)
        raise LookupError(f"{self.name} has no hitl element {id!r}")

    async def run(self, ctx: Ctx, values: Mapping[str, Json]) -> Json:
        """Run the elements; return their results by id."""
        scope: dict[str, Json] = {"input": values}
        await self._run(ctx, self._source.document.elements, scope)
        return {id: scope[id] for id in scope if id != "input"}

    async def _run(self, ctx: Ctx, elements: list[Any], scope: dict[str, Json]) -> None:
        for element, after in zip(elements, [*elements[1:], None], strict=True):
            match element:
                case Hitl():
                    routed = isinstance(after, Condition) and element.id in _named(after)
                    outcome = await ctx.require_approval(
                        element.id,
                        on_reject="continue" if routed else "reject",
                        **self.question(element, scope),
                    )
                    scope[element.id] = _outcome(outcome)
                case Python():
                    spec = element.spec
                    action = function(spec.call, self.folder)
                    scope[element.id] = await ctx.step(
                        element.id, action, **expressions.fill(spec.arguments, scope)
                    )
                case Notify():
                    told = expressions.fill(element.spec.model_dump(exclude_none=True), scope)
                    await ctx.notify(element.id, **_listed(told))
                case Condition():
                    chosen = expressions.evaluate(expressions.parse(element.test), scope)
                    await self._run(ctx, element.then if chosen else element.otherwise, scope)

    def question(self, element: Hitl, scope: Mapping[str, Json]) -> dict[str, Json]:
        """Return the request of a gate; raises AutomationError where it would ask nobody."""
        fields: dict[str, Json] = expressions.fill(element.spec.model_dump(exclude_none=True), scope)
        fields |= _asked(element, scope)
        if not any(map(fields.get, WHO)):
            raise AutomationError(self.name, [Fault(None, element.id, NOBODY)])
        return {**fields, "labels": {**fields["labels"], **self.labels(element)}}

    def labels(self, element: Hitl) -> dict[str, str]:
        """Return by which labels the requests of a gate are found."""
        return {"automation": self._source.document.automation, "element": element.id}

    def _missing(self, values: Mapping[str, Json]) -> Iterator[Fault]:
        """Yield what texts expect of the input in vain."""
        for place, element, text in self._source.texts():
            tree = expressions.parse(text)
            if isinstance(element, Condition) or expressions.names(tree) != {"input"}:
                continue
            if expressions.evaluate(tree, {"input": values}) is None:
                code = f"{NO_AUDIENCE}: " if isinstance(element, Hitl) and place[-1] in WHO else ""
                yield self._source.fault(
                    place, element.id, f"{code}{text} has no value: give it in the input"
                )

    def _unasked(self, values: Mapping[str, Json]) -> Iterator[Fault]:
        """Yield the gates that would ask nobody, as far as the input tells."""
        for place, element in self._source.walk():
            if isinstance(element, Hitl):
                try:
                    asked = _asked(element, {"input": values})
                except LookupError:
                    continue  # missing in the input, or known only when it asks
                if not any(asked.values()):
                    yield self._source.fault(place, element.id, NOBODY)


class Gate:
    """The operations of a `hitl` element."""

    def __init__(self, automation: Automation, element: Hitl, client: Client) -> None:
        self._automation = automation
        self._element = element
        self._client = client

    def submit(
        self, given: Mapping[str, Json] | None = None, *, idempotency_key: str | None = None
    ) -> Request:
        """Ask the people of the audience; raises AutomationError where there are none."""
        values = self._automation.run_input(given or {})["input"]
        fields = self._automation.question(self._element, {"input": values})
        return self._client.submit(idempotency_key=idempotency_key, **fields)

    invoke = submit

    def approve(self, request: str, reason: str | None = None) -> Request:
        """Approve as the operator: with another key than the one that asked."""
        return self._client.approve(request, reason=reason)

    def reject(self, request: str, reason: str | None = None) -> Request:
        """Reject as the operator, likewise."""
        return self._client.reject(request, reason=reason)

    def pending(self) -> list[Request]:
        """List what waits at this gate, with `audience`, `quorum` progress, and each respondent's personal `links`."""
        labels = self._automation.labels(self._element).items()
        return [request for request in self._client.pending() if labels <= request.labels.items()]


def serve(app: Durable) -> None:
    """Let an app run automations; that goes before its launch."""

    @app.workflow(WORKFLOW)
    async def automation(ctx: Ctx, document: dict[str, Any]) -> Any:
        return await Automation.of_run(document).run(ctx, document["input"])


def _outcome(outcome: Outcome) -> dict[str, Json]:
    names = ("status", "decision", "choice", "reason", "values", "payload", "edited", "by", "text")
    return {"approved": bool(outcome), **{name: getattr(outcome, name) for name in names}}


def _asked(element: Hitl, scope: Mapping[str, Json]) -> dict[str, Json]:
    """Return whom a gate asks, by the fields of a request; without anybody of its own, the input's audience."""
    own = {who: value for who in WHO if (value := getattr(element.spec, who))}
    asked = expressions.fill(own, scope) if own else {"audience": scope["input"].get("audience")}
    return _listed(asked)


def _listed(fields: dict[str, Json]) -> dict[str, Json]:
    """Let one selector stand for a list of it."""
    audience = fields.get("audience")
    return {**fields, "audience": [audience]} if isinstance(audience, str) else fields


def _named(condition: Condition) -> set[str]:
    return expressions.names(expressions.parse(condition.test))
