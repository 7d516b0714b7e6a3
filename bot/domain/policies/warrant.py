"""Whether an approval is somebody's: only then is a system that goes on by itself told yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.model.frozen import replace
from bot.domain.model.request import ResolvedBy, Status
from bot.domain.model.spec import Level
from bot.domain.people import quorum

if TYPE_CHECKING:
    from bot.domain.model.request import Request

DECIDING = frozenset({"respondents", "operator", "policy", "grant"})
"""Who may stand behind a yes: people, a policy of the configuration, or a grant that somebody gave before."""


def unwarranted(request: Request) -> str | None:
    """Why an approval is no yes, in words; None where it is one, and for every other outcome.

    Level `info` asks nobody, whatever policy speaks of it, and a deadline is silence: also that of an earlier step
    which passed on though nobody had approved it.
    """
    outcome = request.outcome
    if outcome is None or outcome.decision is not Status.APPROVED:
        return None
    if request.spec.level is Level.INFO:
        return "nobody had to decide it (level info)"
    if outcome.resolved_by is ResolvedBy.TIMEOUT:
        return "nobody decided it: it was approved at its deadline"
    if outcome.resolved_by.value not in DECIDING:
        return f"it was approved by {outcome.by}"
    if outcome.resolved_by is ResolvedBy.RESPONDENTS and (step := _silent(request)) is not None:
        return f"its step {step + 1} passed at its deadline, without the approvals that it wants"
    return None


def _silent(request: Request) -> int | None:
    """The first of the closed steps whose quorum its answers do not reach."""
    steps = (replace(request, step=index) for index in range(request.step))
    return next((s.step for s in steps if quorum.judge(s).decision is not Status.APPROVED), None)
