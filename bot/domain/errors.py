"""Every refusal a person or a program can meet, with its stable code and its HTTP status.

    AssentError
    ├── Malformed             400 malformed
    ├── NoAudience            400 HITL_NO_AUDIENCE
    ├── Unauthenticated       401 unauthenticated
    ├── ForbiddenScope        403 forbidden_scope
    ├── NotInAudience         403 not_in_audience
    ├── SelfApproval          403 self_approval
    ├── NotYours              403 not_yours
    ├── NotFound              404 not_found
    ├── AlreadyResolved       409 already_resolved
    ├── AlreadyResponded      409 already_responded
    ├── StaleRevision         409 stale_revision
    ├── StepClosed            409 step_closed
    ├── NotFinal              409 not_final
    ├── IdempotencyConflict   409 idempotency_conflict
    ├── TooLarge              413 too_large
    ├── Invalid               422 invalid
    ├── RateLimited           429 rate_limited
    └── Unavailable           503 unavailable

`detail` is one sentence for a person: what was wrong, and how to mend it. Surfaces show it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.model.request import Request


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: its JSON pointer (RFC 6901), and what is wrong and how to mend it."""

    pointer: str
    detail: str


class AssentError(Exception):
    """Base of every refusal. `detail` is a sentence for the person who caused it."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def withhold(self) -> None:
        """Say no more than what kind of refusal this is: the caller may not read what it is about."""
        self.detail = f"{self.title}. {WITHHELD}"


WITHHELD = "The key may not read this request, so no more is said of it."


class Malformed(AssentError):
    """The bytes are not the JSON that was announced."""

    code, status, title = "malformed", 400, "The request is malformed"


class NoAudience(AssentError):
    """Nobody would be asked. Such a request never opens, so it can never be taken for an approval."""

    code, status, title = "HITL_NO_AUDIENCE", 400, "Nobody would be asked"


class Unauthenticated(AssentError):
    """No key, or one that is unknown or revoked."""

    code, status, title = "unauthenticated", 401, "Not authenticated"


class ForbiddenScope(AssentError):
    """The key is known, but may not do this."""

    code, status, title = "forbidden_scope", 403, "The key may not do this"


class NotInAudience(AssentError):
    """This person was not asked, or may not answer any more."""

    code, status, title = "not_in_audience", 403, "Not in the audience"


class SelfApproval(AssentError):
    """The requester answers their own request."""

    code, status, title = "self_approval", 403, "Nobody approves their own request"


class NotYours(AssentError):
    """The key did not submit this request, so it may not act as who asked."""

    code, status, title = "not_yours", 403, "Submitted with another key"


class NotFound(AssentError):
    """No such thing, or none that this caller may see."""

    code, status, title = "not_found", 404, "Not found"


class AlreadyResolved(AssentError):
    """The request is final. `request` is its stored state; `detail` says who decided what, and when."""

    code, status, title = "already_resolved", 409, "Already resolved"

    def __init__(self, detail: str, request: Request) -> None:
        super().__init__(detail)
        self.request = request
        self.withheld = False

    def withhold(self) -> None:
        """Leave of the request only its id, status and version."""
        super().withhold()
        self.withheld = True


class AlreadyResponded(AssentError):
    """This person has answered before, and differently."""

    code, status, title = "already_responded", 409, "Already responded"


class StaleRevision(AssentError):
    """The request changed after the person opened it."""

    code, status, title = "stale_revision", 409, "The request has changed"


class StepClosed(AssentError):
    """The step this person was asked in has ended."""

    code, status, title = "step_closed", 409, "The step is closed"


class NotFinal(AssentError):
    """There is no outcome yet."""

    code, status, title = "not_final", 409, "Not decided yet"


class IdempotencyConflict(AssentError):
    """The `Idempotency-Key` was used before, with another body."""

    code, status, title = "idempotency_conflict", 409, "The idempotency key was used before"


class TooLarge(AssentError):
    """The body is over the limit."""

    code, status, title = "too_large", 413, "The body is too large"


class Invalid(AssentError):
    """The input is well formed but breaks a rule; `faults` lists every fault, not only the first."""

    code, status, title = "invalid", 422, "The input is invalid"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{f.pointer or 'body'}: {f.detail}" for f in self.faults))

    def withhold(self) -> None:
        """Name the members of the body only, not what is within them, which may be of the request."""
        members = dict.fromkeys("/".join(f.pointer.split("/")[:2]) for f in self.faults)
        self.faults = tuple(Fault(member, f"does not fit this request. {WITHHELD}") for member in members)
        self.detail = "; ".join(f"{f.pointer or 'body'}: {f.detail}" for f in self.faults)


class RateLimited(AssentError):
    """Too many failures from one place. After `seconds` the next try is looked at."""

    code, status, title = "rate_limited", 429, "Too many tries"

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = seconds


class Unavailable(AssentError):
    """Something Assent must ask first (Slack, the database) does not answer now. Nothing was recorded."""

    code, status, title = "unavailable", 503, "Try again in a moment"
