"""The JSON of the protocol, as far as it means something here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, RootModel, StringConstraints

from bot.schemas.answers import RequestBrief
from bot.schemas.requests import Body, Text

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


def _refused(value: object) -> object:
    if value is not None:
        raise ValueError("is not supported here; leave it out")
    return value


Refused = Annotated[None, BeforeValidator(_refused)]


class _Tolerant(Body):
    """A body of a protocol that is not ours; members that mean nothing here are let be."""

    model_config = ConfigDict(extra="ignore")


class SlackChannel(_Tolerant):
    """A Slack user or channel; with `allowed_responder_ids` those users instead, each in person."""

    channel_or_user_id: str
    context_about_channel_or_user: str | None = None
    allowed_responder_ids: list[str] | None = None
    bot_token: Refused = None
    """Not taken: the cards are posted by this server's own app."""


class EmailChannel(_Tolerant):
    """One mailbox."""

    address: str
    context_about_user: str | None = None
    subject: str | None = None
    additional_recipients: Refused = None
    """Not taken: every recipient may answer, so name them in the audience of a request of our own API."""


class ContactChannel(_Tolerant):
    """Whom to ask; without one, the default audience."""

    slack: SlackChannel | None = None
    email: EmailChannel | None = None
    sms: Refused = None
    whatsapp: Refused = None

    def audience(self) -> list[str]:
        """Our selectors for it."""
        asked = []
        if self.slack:
            asked += [
                f"slack:{i}" for i in self.slack.allowed_responder_ids or [self.slack.channel_or_user_id]
            ]
        if self.email:
            asked.append(f"email:{self.email.address}")
        return asked


class ResponseOption(_Tolerant):
    """One way to reject, or to answer."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    title: str | None = None
    description: str | None = None
    prompt_fill: str | None = None
    interactive: bool = False

    @property
    def label(self) -> str:
        """What people read."""
        return self.title or self.name

    @property
    def words(self) -> str:
        """What it says for somebody who adds nothing."""
        return self.prompt_fill or self.label


class FunctionCallSpec(_Tolerant):  # type: ignore[no-redef]  # of a name that the plugin for mypy uses itself
    """The call that waits for approval."""

    fn: Annotated[str, StringConstraints(min_length=1)]
    kwargs: dict[str, Any]
    channel: ContactChannel | None = None
    reject_options: list[ResponseOption] | None = None
    state: dict[str, Any] | None = None


class FunctionCallBody(_Tolerant):
    """A function call to approve. The same `call_id` with the same `spec` asks once."""

    run_id: Text
    call_id: Id
    spec: FunctionCallSpec


class HumanContactSpec(_Tolerant):
    """The question."""

    msg: Annotated[str, StringConstraints(min_length=1)]
    subject: str | None = None
    channel: ContactChannel | None = None
    response_options: list[ResponseOption] | None = None
    state: dict[str, Any] | None = None


class HumanContactBody(_Tolerant):
    """A question to a human. The same `call_id` with the same `spec` asks once."""

    run_id: Text
    call_id: Id
    spec: HumanContactSpec


class FunctionAnswer(_Tolerant):
    """A decision; it is the operator's."""

    approved: bool
    comment: str | None = None
    reject_option_name: str | None = None


class ContactAnswer(_Tolerant):
    """An answer; it is the operator's. One of the two is needed."""

    response: str | None = None
    response_option_name: str | None = None


class FunctionCallStatus(BaseModel):
    """What became of a function call; `approved` is null while it waits."""

    requested_at: str
    responded_at: str | None
    approved: bool | None
    comment: str | None
    reject_option_name: str | None


class HumanContactStatus(BaseModel):
    """What became of a question; `response` is null while it waits."""

    requested_at: str
    responded_at: str | None
    response: str | None
    response_option_name: str | None


class FunctionCall(BaseModel):
    """A function call as it stands."""

    run_id: str
    call_id: str
    spec: FunctionCallSpec
    status: FunctionCallStatus


class HumanContact(BaseModel):
    """A question as it stands."""

    run_id: str
    call_id: str
    spec: HumanContactSpec
    status: HumanContactStatus


class FunctionDecided(RootModel[FunctionCall | RequestBrief]):
    """The function call; for a key that may not read it only `id`, `status` and `version` of the request."""


class ContactDecided(RootModel[HumanContact | RequestBrief]):
    """The question; for a key that may not read it only `id`, `status` and `version` of the request."""
