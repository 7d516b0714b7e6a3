"""The use cases: each is one transaction, and whoever must be asked first (Slack) is asked before it begins.

Times come from the clock port, ids from the ids port; the rules are `domain/`'s.
"""

from __future__ import annotations

from bot.approvals.context import Rules
from bot.approvals.manage import Changing
from bot.approvals.query import MAX_WAIT_SECONDS
from bot.approvals.respond import Answering
from bot.approvals.submit import Submitting

__all__ = ["MAX_WAIT_SECONDS", "Approvals", "Rules"]


class Approvals(Submitting, Answering, Changing):
    """Everything people and programs can do with requests."""
