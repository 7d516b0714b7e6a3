"""LangGraph and LangChain agents: people answer what a graph pauses for.

`run` may be called again after a crash, with the same thread: what was paused is not given its input a second time,
as that would start it anew, and each question is asked once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.adapters import needs
from bot.adapters.tool_calls import approved, ask, key, question, refusal
from bot.client.binding import held_against

with needs("langgraph"):
    from langgraph.types import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import Interrupt, StateSnapshot

    from bot.client import AsyncClient, Client, Outcome

    Graph = CompiledStateGraph[Any, Any, Any, Any]


@dataclass(frozen=True)
class Question:
    """The fields of one request, and what its outcome means to the graph."""

    fields: dict[str, Any]
    answer: Callable[[Outcome], Any]


@dataclass(frozen=True)
class Pause:
    """What a graph waits for: the value of the interrupt `id`, or the state to go on with from a breakpoint."""

    id: str | None
    questions: list[Question]
    batched: bool = False

    def answered(self, outcomes: Iterator[Outcome]) -> Any:
        """What the graph is to be given, by the next outcomes."""
        answers = [question.answer(next(outcomes)) for question in self.questions]
        return {"decisions": answers} if self.batched else answers[0]


class _Gate:
    def __init__(
        self,
        *,
        answer: Callable[[Any, Outcome], Any] | None = None,
        update: Callable[[Outcome], Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> None:
        """Put all questions with these `fields` of a request: `audience`, `timeout_seconds` and so on.

        The interrupts of LangChain's HumanInTheLoopMiddleware get the decisions it wants; any other
        `interrupt(value)` returns `answer(value, outcome)`, by default whether it was approved. At a breakpoint
        (`interrupt_before`, `interrupt_after`) the graph goes on with the state `update(outcome)`. Without `update`
        it goes on only when approved, with what people edited; else `Rejected` or `Expired` is raised.
        """
        self._answer = answer or (lambda _, outcome: bool(outcome))
        self._update = update
        self._fields = fields

    def _pauses(self, state: StateSnapshot) -> list[Pause]:
        pauses = [self._interrupted(each) for each in state.interrupts] or [self._at_breakpoint(state)]
        thread = str(state.config["configurable"]["thread_id"])
        checkpoint = state.config["configurable"]["checkpoint_id"]
        for pause in pauses:
            for number, each in enumerate(pause.questions):
                ids = (thread, pause.id or checkpoint, *([str(number)] if number else []))
                each.fields.update(self._fields, idempotency_key=key("langgraph", *ids))
        return pauses

    def _interrupted(self, interrupt: Interrupt) -> Pause:
        match interrupt.value:
            case {"action_requests": [*actions], "review_configs": [*configs]}:
                calls = zip(actions, configs, strict=True)
                decided = [_tool_call(action, config["allowed_decisions"]) for action, config in calls]
                return Pause(interrupt.id, decided, batched=True)
            case {"type": "tool_approval"}:
                return Pause(
                    interrupt.id, [_tool_call(interrupt.value, _decisions(interrupt.response_schema))]
                )
        asked = {"title": "A workflow waits for your decision", "payload": interrupt.value}
        return Pause(interrupt.id, [Question(asked, lambda outcome: self._answer(interrupt.value, outcome))])

    def _at_breakpoint(self, state: StateSnapshot) -> Pause:
        values = json.loads(json.dumps(state.values, default=str))

        def answer(outcome: Outcome) -> Mapping[str, Any]:
            if self._update:
                return self._update(outcome)
            final = approved(outcome.raise_for_rejection(), values)
            return {name: value for name, value in final.items() if value != values[name]}

        return Pause(None, [Question(question(" and ".join(state.next), values, edit=True), answer)])


class Gate(_Gate):
    """Drives graphs, and puts what they pause for to people."""

    def __init__(self, client: Client, **options: Any) -> None:
        super().__init__(**options)
        self._client = client

    def run(self, graph: Graph, given: Any, config: RunnableConfig) -> Any:
        """Run a thread to its end, however long people take, and return its output."""
        output, state = None, graph.get_state(config)
        if not _is_paused(graph, state):
            output = graph.invoke(None if state.next else given, config)
        while (state := graph.get_state(config)).next:
            pauses = self._pauses(state)
            questions = [each.fields for pause in pauses for each in pause.questions]
            asked = [(self._client.submit(**fields), fields.get("payload")) for fields in questions]
            outcomes = [held_against(self._client.wait(each.id), payload) for each, payload in asked]
            resume, update = _resumed(pauses, outcomes)
            if update:
                graph.update_state(config, update)
            output = graph.invoke(resume, config)
        return output


class AsyncGate(_Gate):
    """The same in asyncio."""

    def __init__(self, client: AsyncClient, **options: Any) -> None:
        super().__init__(**options)
        self._client = client

    async def run(self, graph: Graph, given: Any, config: RunnableConfig) -> Any:
        """Run a thread to its end, however long people take, and return its output."""
        output, state = None, await graph.aget_state(config)
        if not _is_paused(graph, state):
            output = await graph.ainvoke(None if state.next else given, config)
        while (state := await graph.aget_state(config)).next:
            pauses = self._pauses(state)
            questions = [each.fields for pause in pauses for each in pause.questions]
            resume, update = _resumed(pauses, await ask(self._client, questions))
            if update:
                await graph.aupdate_state(config, update)
            output = await graph.ainvoke(resume, config)
        return output


def _is_paused(graph: Graph, state: StateSnapshot) -> bool:
    """Whether it waits for people, rather than to start or to go on after a crash."""
    breakpoints = graph.interrupt_before_nodes or graph.interrupt_after_nodes
    return bool(state.interrupts or (state.next and breakpoints))


def _resumed(pauses: list[Pause], outcomes: Iterable[Outcome]) -> tuple[Command[Any] | None, Any]:
    """What to invoke the graph with, and what to change in its state before."""
    left = iter(outcomes)
    answers = {pause.id: pause.answered(left) for pause in pauses}
    return (None, answers[None]) if None in answers else (Command(resume=answers), None)


def _decisions(schema: Any) -> set[str]:
    """The decisions that the schema of a per-call interrupt's answer allows."""
    kinds = (schema or {}).get("discriminator", {}).get("mapping") or {}
    return set(kinds) or {schema["properties"]["type"]["const"]}


def _tool_call(action: Mapping[str, Any], decisions: Iterable[str]) -> Question:
    """A question about a tool call of the middleware, whose answer is one of its decisions.

    A tool that people answer themselves (`respond` in place of `approve`) is a form with one field.
    """
    name, arguments, allowed = action["name"], action["args"], set(decisions)
    responds = not allowed & {"approve", "edit"}
    asked = question(name, arguments, edit="edit" in allowed)
    if responds:
        form = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
        asked |= {"kind": "input", "form": form}

    def answer(outcome: Outcome) -> dict[str, Any]:
        if not outcome:
            if "reject" not in allowed:
                outcome.raise_for_rejection()
            return {"type": "reject", "message": refusal(outcome)}
        if responds:
            return {"type": "respond", "message": (outcome.values or {})["message"]}
        if outcome.edited or "approve" not in allowed:
            return {"type": "edit", "edited_action": {"name": name, "args": approved(outcome, arguments)}}
        return {"type": "approve"}

    return Question(asked, answer)
