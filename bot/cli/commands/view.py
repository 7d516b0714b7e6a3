"""`assent view`: what people would see of a request's payload, without asking anybody."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bot.cli import display
from bot.cli.common import Failure, load_settings, read_json


def view(file: Annotated[str, Parameter(allow_leading_hyphen=True)], /) -> None:
    """Show what people would see of a request, by the views of assent.toml; nothing is sent or stored.

    Parameters
    ----------
    file
        File of JSON with the fields of a request; - is standard input.
    """
    from datetime import UTC, datetime

    from bot.approvals.validation.submission import Defaults, build_spec, read_submission, submission_faults
    from bot.domain.errors import AssentError, Invalid
    from bot.domain.policies.payload_views import Views, heading
    from bot.settings import RULES

    settings = load_settings(RULES)
    defaults = Defaults(audience=settings.assent_default_audience or ("email:nobody@example.com",))
    now = datetime.now(UTC)
    try:
        body = read_submission(read_json(file), now)
        if faults := submission_faults(body, now):
            raise Invalid(faults)
        spec = build_spec(body, defaults, now)
    except AssentError as error:
        raise Failure(error.detail) from None
    views = Views(settings.views)
    if spec.payload is None:
        raise Failure("The request has no payload: there is nothing to be done that a view could show.")
    used = views.of(spec)
    out = display.console()
    out.print(display.line(f"{heading(spec)} (view: {used.name})" if used else heading(spec)), style="bold")
    display.print_sections(views.sections_of(spec, spec.payload, spec.payload_digest))
