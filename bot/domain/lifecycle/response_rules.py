"""What a respondent may answer, and what is wrong with an answer, with a pointer to each fault."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from bot.domain.errors import Fault, Invalid
from bot.domain.forms.forms import value_faults
from bot.domain.model.request import APPROVE, REJECT, SKIP, Request, RespondentState, Response
from bot.domain.model.spec import Kind, Level, ReasonRule, Spec

MAX_REASON = 3000
"""Characters; what a Slack text input can hold, so that every surface takes the same."""


@dataclass(frozen=True, kw_only=True)
class ResponseInput:
    """One answer: the decision, its reason, edited values, and the phrase typed where one is wanted.

    A reason of nothing but white space is none.
    """

    decision: str
    reason: str | None = None
    values: dict[str, Any] | None = None
    phrase: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", (self.reason or "").strip() or None)

    def repeats(self, response: Response) -> bool:
        """Whether this says again what `response` already says."""
        return (self.decision, self.reason, self.values) == (
            response.decision,
            response.reason,
            response.values,
        )


def decisions(spec: Spec) -> tuple[str, ...]:
    """The decisions a respondent may choose from, in the order surfaces show them."""
    positive = tuple(c.id for c in spec.choices) if spec.kind is Kind.CHOICE else (APPROVE,)
    negative = () if spec.kind is Kind.FEEDBACK else (REJECT,)
    return (*positive, *negative, *((SKIP,) if spec.allow_skip else ()))


def wants_reason(spec: Spec, decision: str) -> bool:
    """Whether `decision` must carry a reason."""
    return spec.reason is ReasonRule.REQUIRED or (spec.reason is ReasonRule.ON_REJECT and decision == REJECT)


def phrase(text: str) -> str:
    """A phrase as it is kept and compared: in NFC, with one space for each run of white space, and none at its ends.

    The marks that set a phrase apart on a screen, which come along when it is copied from there, are not part of it.
    What is too long to be one stays as it is, and so equals none.
    """
    if len(text) > MAX_TYPED:
        return text
    return " ".join(unicodedata.normalize("NFC", text.translate(_MARKS)).split())


_MARKS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
"""Directional marks, embeddings and isolates, and the mark at the head of a file."""


def phrase_fault(text: str) -> str | None:
    """Why nobody could type this phrase as it reads, in words."""
    kept = phrase(text)
    if len(kept) > MAX_PHRASE:
        return f"is longer than {MAX_PHRASE} characters; nobody types that much"
    if not any(unicodedata.category(c)[0] in "LNPS" for c in kept):
        return "has nothing in it that people could type"
    unseen = next((c for c in kept if unicodedata.category(c) in _UNSEEN), None)
    if unseen is not None:
        return f"has the invisible character U+{ord(unseen):04X}, which nobody could type; leave it out"
    return None


MAX_PHRASE = 200
MAX_TYPED = 20 * MAX_PHRASE
"""Characters as they are typed, with marks, parts of letters and white space that are folded."""
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})


def wants_phrase(spec: Spec, decision: str) -> bool:
    """Whether the verification phrase must be typed: for every answer that lets the action happen."""
    return spec.level is Level.VERIFY and decision not in {REJECT, SKIP}


def wants_people(spec: Spec) -> bool:
    """Whether a yes needs somebody who types a phrase, chooses or fills in, so that silence can never be one."""
    return spec.level is Level.VERIFY or spec.kind in {Kind.CHOICE, Kind.INPUT}


def state_after(decision: str) -> RespondentState:
    """Where an answer leaves its respondent; a custom choice is an approval of that choice."""
    return _STATES.get(decision, RespondentState.APPROVED)


_STATES = {REJECT: RespondentState.REJECTED, SKIP: RespondentState.SKIPPED}


def check(request: Request, answer: ResponseInput, *, operator: bool = False) -> None:
    """Raise `Invalid` with every fault of `answer`. An operator may always skip, but types the phrase like others."""
    faults: list[Fault] = []
    spec = request.spec
    allowed = decisions(spec)
    if answer.decision not in allowed and not (operator and answer.decision == SKIP):
        faults.append(Fault("/decision", _not_allowed(answer.decision, allowed)))
    if wants_reason(spec, answer.decision) and not answer.reason:
        faults.append(Fault("/reason", "a reason is needed: say in a few words why"))
    if answer.reason and len(answer.reason) > MAX_REASON:
        faults.append(Fault("/reason", f"is longer than {MAX_REASON} characters; shorten it"))
    if answer.decision not in {REJECT, SKIP}:
        faults += value_faults(request, answer.values or {})
    elif answer.values:
        faults.append(Fault("/values", f"go with a yes; a {answer.decision} changes nothing, leave them out"))
    if wants_phrase(spec, answer.decision) and not _is_typed(spec, answer):
        faults.append(Fault("/phrase", "does not match; type it exactly as the request shows it"))
    if faults:
        raise Invalid(faults)


def _is_typed(spec: Spec, answer: ResponseInput) -> bool:
    wanted = phrase(spec.verification_phrase or "")
    return bool(wanted) and phrase(answer.phrase or "") == wanted


def _not_allowed(decision: str, allowed: tuple[str, ...]) -> str:
    choices = ", ".join(allowed)
    if decision == SKIP:
        return f"this request does not allow skipping; choose one of: {choices}"
    return f"{decision[:60]!r} is not a decision here; choose one of: {choices}"
