"""The use cases: submit, respond, operate, cancel, expire, get, wait, list, notify."""

from __future__ import annotations

from bot.approvals.usecases import MAX_WAIT_SECONDS, Approvals, Rules

__all__ = ["MAX_WAIT_SECONDS", "Approvals", "Rules"]
