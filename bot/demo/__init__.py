"""`assent demo`: a Slack and a mailbox on this machine, Assent, and a workflow that asks a small team."""

from __future__ import annotations

from bot.demo.show import run

__all__ = ["run"]
