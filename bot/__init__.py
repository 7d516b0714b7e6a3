"""Assent: a human signature exactly where a workflow needs one."""

from __future__ import annotations

__version__ = "0.1.0"
