"""The door of the API: what a call may do is what its key may, and what it is answered is what its key may read.

No handler holds the use cases themselves: it gets them from here, for the key of the call in hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.access.authority import Scope, reads
from bot.schemas.responses import brief_json, request_json
from bot.web.calls.auth import require_one
from bot.web.calls.json_body import respond, respond_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.ports.store import ApiKey
    from bot.schemas.answers import RequestBrief, RequestOut
    from bot.web.calls.auth import Auth

READING = (Scope.READ, Scope.SUBMIT)
"""Either reads: everything, or what the key itself submitted."""

MANAGING = (Scope.SUBMIT, Scope.OPERATE)
"""Either cancels, revises, reminds, escalates, replies: what the key itself submitted, or everything."""

ANSWERING = (Scope.RESPOND, Scope.OPERATE)
"""Either acts for respondents."""

TALKING = (Scope.SUBMIT, Scope.RESPOND, Scope.OPERATE)
"""What the body says is needed: for respondents as `ANSWERING`, else as `MANAGING`."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One call: whose it is, and the use cases as its key may use them."""

    caller: ApiKey
    approvals: Approvals

    @property
    def name(self) -> str:
        """The key's name."""
        return self.caller.name

    def require(self, *scopes: Scope) -> None:
        """Raise `ForbiddenScope` unless the key has one of `scopes`."""
        require_one(self.caller, *scopes)

    def json(self, request: Request) -> RequestOut | RequestBrief:
        """A request as this call may be answered it."""
        return request_json(request) if reads(self.caller, request) else brief_json(request)

    def answer(
        self, request: Request, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """A request as the answer to this call."""
        if reads(self.caller, request):
            return respond_request(request, status=status, headers=headers)
        return respond(brief_json(request), status=status, headers=headers)


class Door:
    """Lets in whoever has a key with one of the scopes that a call needs."""

    def __init__(self, auth: Auth, approvals: Approvals) -> None:
        self._auth = auth
        self._approvals = approvals

    async def enter(self, http: web.Request, *scopes: Scope, submits: bool = False) -> Visit:
        """The call, if its key has one of `scopes`, or any key where none is named; `submits` counts what it asks.

        Raises `Unauthenticated`, `ForbiddenScope`, `RateLimited` or `Malformed`.
        """
        caller = await self._auth.caller(http, None)
        if scopes:
            require_one(caller, *scopes)
        if submits:
            self._auth.submissions.take(caller.id)
        return Visit(caller, self._approvals.by(caller))

    def forget(self, key_id: str) -> None:
        """Look a key up anew at its next call: it was revoked."""
        self._auth.forget(key_id)
