"""Workflows that wait for people, for a second or a month, through crashes and deployments (extra `durable`)."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("dbos") is None:
    raise ModuleNotFoundError(
        "durable workflows need an extra that is not installed: pip install 'assent[durable]'", name="dbos"
    )

from bot.workflows.context import Ctx, SyncCtx
from bot.workflows.durable import Durable, RunFailed
from bot.workflows.interrupts import Email, Interrupt, Slack
from bot.workflows.runs import Run

__all__ = ["Ctx", "Durable", "Email", "Interrupt", "Run", "RunFailed", "Slack", "SyncCtx"]
