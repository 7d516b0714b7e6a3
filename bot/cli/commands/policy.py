"""`assent policy`: what the configured policies would do with a request, without asking anybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from bot.cli import display
from bot.cli.common import Failure, load_settings, read_json


def policy(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    key_name: str | None = None,
    json: bool = False,
) -> None:
    """Say what the policies of assent.toml would do with a request; nothing is sent or stored.

    Parameters
    ----------
    file
        File of JSON with the fields of a request; - is standard input.
    key_name
        As if it came with the API key of this name.
    """
    from bot.approvals.validation.submission import Defaults, build_spec, read_submission, submission_faults
    from bot.domain.access.authority import Key
    from bot.domain.errors import AssentError, Invalid
    from bot.domain.policies.policy import rule
    from bot.settings import RULES

    settings = load_settings(RULES)
    key = Key(id="", name=key_name, scopes=frozenset()) if key_name else None
    defaults = Defaults(audience=settings.assent_default_audience or ("email:nobody@example.com",))
    now = datetime.now(UTC)
    try:
        body = read_submission(read_json(file), now)
        if faults := submission_faults(body, now):
            raise Invalid(faults)
        spec = build_spec(body, defaults, now, key=key)
    except AssentError as error:
        raise Failure(error.detail) from None
    ruling = rule(spec, auto_approve=settings.assent_auto_approve, policies=settings.policies)
    decision = str(ruling.decision) if ruling else "ask"
    reason = ruling.reason if ruling else "No policy decides this: people are asked."
    if json:
        display.print_json({"decision": decision, "by": ruling.by if ruling else None, "reason": reason})
    else:
        display.console().print(f"{decision}: {display.line(reason)}")
