"""Log lines: structured, with the request id, and never with a secret."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

_LINK = r"(?<![A-Za-z0-9])[A-Za-z2-7]{39}(?![A-Za-z0-9])"
"""What the personal links of `bot.links` end with, in either case."""
_SECRETS = re.compile(
    rf"{_LINK}|(xox[a-z]+-|xapp-|ask_|whsec_)[\w+/=-]+|((?i:\b(?:bearer|basic)\s+))[\w.~+/=-]{{8,}}",
    re.ASCII,
)
_ESCAPED = re.compile(r"[\w.~%+-]*%[0-9A-Fa-f]{2}[\w.~%+-]*", re.ASCII)
"""A word that holds something percent-encoded."""
MIN_SECRET = 8
"""Characters; a shorter secret is likely to be a word that says nothing when it is taken out."""
_KEPT: set[str] = set()


def keep_secret(values: Iterable[str]) -> None:
    """Take these out of every line to come, as they are and percent-encoded."""
    long = {value for value in values if len(value) >= MIN_SECRET}
    _KEPT.update(long, (quote(value, safe="") for value in long))


def configure(level: int = logging.INFO) -> None:
    """Send everything from `level` up to stderr: readable in a terminal, JSON lines otherwise."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("aiohttp", "slack_bolt", "slack_sdk", "alembic", "mail.log", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat errors that it raises as well


def join() -> None:
    """Hand everything to the standard library's loggers, unless the program Assent runs in has configured structlog."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.contextvars.merge_contextvars,
                redact,
                structlog.stdlib.render_to_log_kwargs,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take personal links, tokens, keys and the configured secrets out of everything in a log line."""
    for key, value in event.items():
        if (
            not key.startswith("_") and key != "exc_info"
        ):  # those are no text, and others want them as they are
            event[key] = _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {_redacted(name): _redacted(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(part) for part in value]
    if value is None or isinstance(value, int | float):
        return value
    # What the renderer would write of any other object: a URL, an exception, a request.
    return without_secrets(bytes(value).decode(errors="replace") if isinstance(value, bytes) else str(value))


def without_secrets(text: str) -> str:
    """`text` with an ellipsis for every secret in it."""
    for secret in _KEPT:
        text = text.replace(secret, "…")
    if "%" in text:
        text = _ESCAPED.sub(_escaped, text)
    return _SECRETS.sub(lambda found: f"{found[1] or found[2] or ''}…", text)


def _escaped(found: re.Match[str]) -> str:
    """A percent-encoded word, unless it spells a secret once it is decoded, however often it was encoded."""
    word = plain = found[0]
    for _ in range(MAX_DECODINGS):
        if (decoded := unquote(plain)) == plain:
            break
        plain = decoded
    spelt = any(secret in plain for secret in _KEPT) or _SECRETS.search(plain)
    return "…" if spelt or unquote(plain) != plain else word


MAX_DECODINGS = 5
"""What is still encoded after these is no address of anybody's, and is left out."""
