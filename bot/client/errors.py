"""What can go wrong between a workflow and Assent.

AssentError
├── ApiError         Assent refused the call, and says why (RFC 9457 problem details)
├── Unreachable      no answer, or not one of Assent's
│   └── Unanswered   the same once the time of a call or a wait is over; also a TimeoutError
├── Unsendable       what was given is no JSON, or no header; also a ValueError
├── Unverified       a receipt does not prove that this payload was approved
├── BadEdit          what people approved does not fit the function that asked; carries the outcome
└── NotApproved      the people said something other than yes; carries the outcome
    ├── Rejected     rejected or skipped
    ├── Expired
    └── Cancelled
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bot.client.models import Outcome


class AssentError(Exception):
    """Whatever a client raises, the `TimeoutError` of `wait` and the `ValueError` of a bad address apart."""


class Fault(NamedTuple):
    """One thing wrong with what was sent; `pointer` is the JSON pointer of the place."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class ApiError(AssentError):
    """Assent refused a call: `status` (HTTP), `code` (stable), `title`, `detail`, `faults`.

    `problem` is the whole problem document, extension members included: with `already_resolved` the member
    `request` shows what was decided.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code: str = problem.get("code", f"http_{status}")
        self.title: str = problem.get("title", "")
        self.detail: str = problem.get("detail") or self.title or f"the server answered {status}"
        self.faults = [
            Fault(fault.get("pointer", ""), fault.get("detail", "")) for fault in problem.get("errors", ())
        ]
        summary = (self.title or self.detail) if self.faults else self.detail
        super().__init__("\n".join([f"{summary} ({self.code})", *map(str, self.faults)]))


class Unreachable(AssentError):
    """Nothing that speaks Assent's API answered at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"no answer from Assent at {url}: {reason}")


class Unanswered(Unreachable, TimeoutError):
    """The time of a call (`retry_for`) or of a `wait` is over, and the server did not answer in it.

    What was asked may have been taken, and a request may have an outcome: the same `idempotency_key` finds it again.
    """


class Unsendable(AssentError, ValueError):
    """What was given cannot be sent: nothing was asked or told."""


class Unverified(AssentError):
    """A receipt that proves nothing about this payload: another payload, no approval, or no key to be trusted."""


class BadEdit(AssentError):
    """What was approved cannot be the arguments of the function that asked; `outcome` has it as `payload`."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome = outcome
        super().__init__(
            f"{outcome.request['title']} was approved by {outcome.by}, but {reason}; nothing was run"
        )


class NotApproved(AssentError):
    """A request ended otherwise than approved; `outcome` says how, who and why."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.text)


class Rejected(NotApproved):
    """The people said no, or skipped it: in both cases it must not be done."""


class Expired(NotApproved):
    """Nobody answered in time."""


class Cancelled(NotApproved):
    """It was withdrawn before it was decided."""
