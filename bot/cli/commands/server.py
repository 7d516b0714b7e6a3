"""Commands of those who run it: serve, demo, db, manifest."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from bot.cli import display
from bot.cli.common import Failure, load_settings

Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65535))]

db = App(name="db", help="The schema of the database.")


def serve() -> int:
    """Run Assent: the API, Slack, mail and deadlines, in one process."""
    from bot import bootstrap
    from bot.store.database import errors

    settings = load_settings()
    with errors.errors_in_words(settings.assent_database_url):
        return bootstrap.serve(settings)


def demo(*, port: Port | None = None, socket_mode: bool = False) -> int:
    """Run everything on this machine, with nothing to sign up for: Slack, a mailbox, sample requests.

    Parameters
    ----------
    port
        Port of the page to open; 8090, or a free one where that is taken.
    socket_mode
        Connect Slack by Socket Mode instead of HTTP.
    """
    from bot import demo

    try:
        return demo.run(port=port, socket_mode=socket_mode)
    except OSError as error:
        if port is None or error.errno is None:
            raise
        raise Failure(f"the demo cannot listen on --port {port}: {os.strerror(error.errno)}") from None


@db.command
def upgrade(*, json: bool = False) -> None:
    """Bring the schema up to date; `assent serve` does so too."""
    from bot.store import migrations, trail
    from bot.store.database import errors
    from bot.store.execution import sessions

    settings = load_settings()
    with errors.errors_in_words(url := settings.assent_database_url):
        migrations.upgrade(url)
    if secrets := settings.secrets:
        with sessions.writing(url) as connection:
            trail.seal_at_start(connection, secrets)
    _say(json=json, current=True)


@db.command
def check(*, json: bool = False) -> int:
    """Tell whether the schema is up to date; exits with 1 if it is behind."""
    from bot.store import migrations
    from bot.store.database import errors

    with errors.errors_in_words(url := load_settings().assent_database_url):
        current = migrations.check(url)
    _say(json=json, current=current)
    return 0 if current else 1


def _say(*, json: bool, current: bool) -> None:
    if json:
        display.print_json({"current": current})
    else:
        display.console().print(
            "The schema is up to date." if current else "The schema is behind: run `assent db upgrade`."
        )


def manifest(
    *, url: Annotated[str | None, Parameter(env_var="ASSENT_BASE_URL")] = None, json: bool = False
) -> None:
    """Print the manifest to create the Slack app from.

    Parameters
    ----------
    url
        Public address of this server, which Slack calls if it is https. Without one the app uses Socket Mode.
    json
        Print JSON.
    """
    import yaml

    from bot.slack import manifest as slack

    if url is not None and not url.startswith("https://"):
        display.print_error(f"{url}: Slack calls https addresses only; without one the app uses Socket Mode")
    app = slack.manifest(url)
    if json:
        display.print_json(app)
    else:
        print(yaml.safe_dump(app, sort_keys=False, allow_unicode=True), end="")
