"""`assent audit`: what can be said of the whole audit trail, straight from the database."""

from __future__ import annotations

from cyclopts import App

from bot.cli import display
from bot.cli.common import load_settings

audit = App(name="audit", help="The audit trail, in the database of ASSENT_DATABASE_URL.")


@audit.command
def verify(*, json: bool = False) -> int:
    """Walk the whole chain of events, and compare every request with what its events come to.

    Exits with 1 and names the first event that was altered or is missing, or the first request that differs.
    A server may go on writing meanwhile.

    Parameters
    ----------
    json
        Print JSON.
    """
    from bot.store import direct, replay
    from bot.store.reader import SqlReader

    with direct.reading(load_settings().assent_database_url) as connection:
        good, broken = SqlReader(connection).verify_chain()
        fault = broken or replay.first_difference(connection)
    if json:
        display.print_json({"ok": fault is None, "events": good, "fault": fault})
    elif fault:
        which = f"The {good} events before it" if broken else f"All {good} events"
        display.console().print(f"Not OK: {display.line(fault)}. {which} are as they were written.")
    else:
        display.console().print(f"OK: {good} events, each as it was written.")
    return 1 if fault else 0
