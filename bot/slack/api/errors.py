"""What can go wrong with a call to Slack, translated once, by Slack's own error codes.

    SlackError
    ├── Throttled      429: not before `after` seconds
    ├── SlackDown      no answer, a 5xx, or a code that says so of the workspace
    ├── Later          not now, for this target; others are served
    ├── TokenInvalid   the token is revoked or wrong: nothing works until the operator mends it
    ├── Unreadable     a conversation's history, which the app may not read
    ├── Gone           the message, view or trigger that the call was about is no more
    └── Terminal       never, for this target

`str(error)` is a reason in words, for the request or for the person. The codes are those of
https://docs.slack.dev/reference/methods.
"""

from __future__ import annotations

from types import MappingProxyType

DEFAULT_PAUSE = 30.0
"""Seconds to leave a method alone where a 429 does not say."""


class SlackError(Exception):
    """Base of all. `code` is Slack's own, or the HTTP status."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Throttled(SlackError):
    """Slack wants this method left alone for `after` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__("ratelimited", "Slack asks for a pause")
        self.after = after


class SlackDown(SlackError):
    """Slack cannot be reached or fails. `ambiguous`: the call was sent and may have been carried out.

    `answered`: something at Slack said so, which is likely to hold for every call.
    """

    def __init__(self, code: str, *, ambiguous: bool = False, answered: bool = False) -> None:
        super().__init__(code, f"Slack does not answer properly just now ({code})")
        self.ambiguous = ambiguous
        self.answered = answered


class Later(SlackError):
    """Slack cannot do this just now; that says nothing about another channel, message or person."""

    def __init__(self, code: str) -> None:
        super().__init__(code, f"Slack cannot do this just now ({code})")


class TokenInvalid(SlackError):
    """Slack refuses the bot token."""

    def __init__(self, code: str) -> None:
        super().__init__(
            code, f"Slack refuses the bot token ({code}); reinstall the app, or set SLACK_BOT_TOKEN anew"
        )


class Unreadable(SlackError):
    """What was written in a conversation cannot be asked for."""

    def __init__(self, reason: str) -> None:
        super().__init__("unreadable", reason)


class Gone(SlackError):
    """What the call was about is gone or can no longer be changed."""

    def __init__(self, code: str) -> None:
        super().__init__(code, f"it is gone or can no longer be changed in Slack ({code})")


class Terminal(SlackError):
    """Slack will not do this, now or later."""

    def __init__(self, code: str, needed: str | None = None) -> None:
        reason = (
            f"the Slack app lacks the scope {needed}; add it and reinstall the app"
            if needed
            else _REASONS.get(code)
        )
        super().__init__(code, reason or f"Slack refuses it ({code})")


_TOKEN = {"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"}
_GONE = {
    "block_mismatch",
    "cant_update_message",
    "edit_window_closed",
    "exchanged_trigger_id",
    "expired_trigger_id",
    "expired_url",
    "hash_conflict",
    "message_not_found",
    "not_found",
    "trigger_expired",
    "used_url",
}
_DOWN = {"service_unavailable", "team_added_to_org"}
_LATER = {
    "external_channel_migrating",
    "fatal_error",
    "fetch_members_failed",
    "internal_error",
    "request_timeout",
    "update_failed",
}
_UNKNOWN_CHANNEL = (
    "Slack does not know this channel, or it is private and Assent is not in it; invite Assent there"
)
_UNKNOWN_USER = "Slack knows no such person"
_RESTRICTED = "the workspace does not let Assent write there"
_REASONS = MappingProxyType(
    {
        "cannot_dm_bot": "that is an app, not a person",
        "channel_not_found": _UNKNOWN_CHANNEL,
        "ekm_access_denied": _RESTRICTED,
        "is_archived": "the channel is archived",
        "is_inactive": "the channel is archived",
        "messages_tab_disabled": "the Slack app's Messages tab is off; turn it on under App Home",
        "no_such_subteam": "Slack knows no such user group",
        "not_in_channel": "Assent is not in this channel; invite it there",
        "plan_upgrade_required": "this Slack plan has no user groups",
        "restricted_action": _RESTRICTED,
        "restricted_action_read_only_channel": _RESTRICTED,
        "restricted_action_thread_only_channel": _RESTRICTED,
        "user_disabled": "their Slack account is deactivated",
        "user_not_found": _UNKNOWN_USER,
        "user_not_in_channel": "they are not in this channel",
        "user_not_visible": "the Slack app is not allowed to see this person",
        "users_not_found": _UNKNOWN_USER,
    }
)


def from_answer(status: int, code: str, retry_after: str | None, needed: str | None = None) -> SlackError:
    """The error of an answer that is not `ok`: HTTP status, `error`, `Retry-After`, `needed` scope."""
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        return Throttled(float(retry_after) if retry_after and retry_after.isdecimal() else DEFAULT_PAUSE)
    if status >= 500 or not code or code in _DOWN:
        return SlackDown(code or str(status), ambiguous=code not in _DOWN, answered=True)
    if code in _LATER:
        return Later(code)
    if code in _TOKEN:
        return TokenInvalid(code)
    return Gone(code) if code in _GONE else Terminal(code, needed)
