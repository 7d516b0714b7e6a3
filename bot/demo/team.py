"""Who works here, and what the sample workflow asks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Channel, Group


@dataclass(frozen=True, slots=True)
class Team:
    """The channels and the user group of Ana, Ben and Cara, whose mail is `NAME@example.com`."""

    finance: Channel
    ops: Channel
    writers: Group

    @classmethod
    def joining(cls, slack: SlackSandbox) -> Self:
        """Everybody in a workspace that was empty."""
        ana, ben, cara = (
            slack.add_user(name, email=f"{name.lower()}@example.com") for name in ("Ana", "Ben", "Cara")
        )
        return cls(
            finance=slack.add_channel("finance", [ana, ben]),
            ops=slack.add_channel("ops", [ana, ben, cara]),
            writers=slack.add_group("writers", [ana, cara]),
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to do: the `fields` of the request, whom that asks, and the step that runs after a yes."""

    fields: dict[str, Any]
    asked: str
    step: str


def samples(team: Team) -> list[Sample]:
    """A channel, two of three people by Slack and mail, a phrase, a skip, a deadline, steps with a form, feedback."""
    return [
        _refund(team),
        _database(),
        _key(),
        _newsletter(team),
        _deployment(team),
        _contract(),
        _feedback(team),
    ]


def _refund(team: Team) -> Sample:
    return Sample(
        fields={
            "title": "Refund €1,250 to customer 8841",
            "message": "Order 5531 arrived broken. The photos in the ticket show a *cracked screen*.",
            "details": {"Order": "5531", "Paid": "2026-11-02"},
            "payload": {"tool": "refund", "customer": "8841", "amount": 1250, "currency": "EUR"},
            "audience": [f"slack:{team.finance.id}"],
            "reason": "on_reject",
            "requester": "support-agent",
        },
        asked="#finance",
        step="paying €1,250 back",
    )


def _database() -> Sample:
    return Sample(
        fields={
            "title": "Delete the database shop-staging",
            "message": "Nobody has connected for 90 days. Two of you have to agree.",
            "details": {"Size": "412 GB", "Last connection": "2026-08-20"},
            "payload": {"tool": "drop_database", "name": "shop-staging"},
            "audience": ["ana@example.com", "ben@example.com", "cara@example.com"],
            "quorum": 2,
            "requester": "clean-up-agent",
        },
        asked="Ana, Ben and Cara by Slack and by mail (two must agree)",
        step="dropping shop-staging",
    )


def _key() -> Sample:
    return Sample(
        fields={
            "title": "Replace the signing key of the payment service",
            "message": "Sessions that are open now will end.",
            "payload": {"tool": "rotate_key", "service": "payments"},
            "audience": ["email:ana@example.com", "email:ben@example.com"],
            "level": "verify",
            "verification_phrase": "ROTATE payments",
            "requester": "security-bot",
        },
        asked="Ana and Ben by mail (who approves types a phrase)",
        step="replacing the key",
    )


def _newsletter(team: Team) -> Sample:
    return Sample(
        fields={
            "title": "Send the November newsletter to 18,204 readers",
            "message": "Subject: *What is new in version 4*",
            "audience": [f"slack:{team.writers.id}"],
            "allow_skip": True,
            "requester": "newsletter-agent",
        },
        asked="the user group @writers (it may be skipped)",
        step="sending 18,204 mails",
    )


def _deployment(team: Team) -> Sample:
    return Sample(
        fields={
            "title": "Deploy version 4.2 to production",
            "details": {"Commit": "9f1c2e7", "Tests": "1,204 passed"},
            "payload": {"tool": "deploy", "version": "4.2", "environment": "production"},
            "audience": [f"slack:{team.ops.id}"],
            "requester": "email:cara@example.com",
            "timeout_seconds": 300,
            "labels": {"env": "production"},
        },
        asked="#ops, for five minutes (Cara asks, so she cannot approve it)",
        step="deploying 4.2",
    )


def _contract() -> Sample:
    return Sample(
        fields={
            "title": "Sign the contract with Nordwind GmbH",
            "message": "First Ana, who may change the terms, then Ben. After five minutes it climbs to Cara.",
            "payload": {"tool": "sign", "partner": "Nordwind GmbH", "months": 24, "discount": 10},
            "form": {
                "type": "object",
                "properties": {
                    "partner": {"type": "string", "title": "Partner", "readOnly": True},
                    "months": {"type": "integer", "title": "Months", "enum": [12, 24, 36]},
                    "discount": {"type": "number", "title": "Discount in %", "minimum": 0, "maximum": 20},
                },
                "required": ["months", "discount"],
            },
            "steps": [
                {"name": "Terms", "audience": ["ana@example.com"]},
                {"name": "Budget", "audience": ["ben@example.com"]},
            ],
            "escalation": [{"name": "Cara", "after_seconds": 300, "audience": ["cara@example.com"]}],
            "requester": "sales-agent",
        },
        asked="Ana, and then Ben (Ana may change the terms)",
        step="signing with Nordwind",
    )


def _feedback(team: Team) -> Sample:
    return Sample(
        fields={
            "title": "How good is the summary of today's tickets?",
            "message": "*Three customers report the same fault in the checkout.*",
            "kind": "feedback",
            "feedback_type": "helpfulness",
            "audience": [f"slack:{team.writers.id}"],
            "requester": "summary-agent",
        },
        asked="the user group @writers for feedback",
        step="learning from the mean score",
    )
