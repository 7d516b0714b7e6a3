"""Flows that pause in all the ways Assent is asked about; run by Prefect's own Python, beside the tests.

Each line printed is JSON: the name of a flow and its run's id, then what the flow went on with.
"""

import asyncio
import json
import sys
from typing import Any

from prefect import flow, runtime
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput


class Answer(RunInput):
    approved: bool
    reason: str = ""


class Everything(RunInput):
    approved: bool
    status: str
    choice: str | None
    reason: str | None
    by: str
    values: dict[str, Any]
    payload: Any


class Wanting(RunInput):
    approved: bool
    choice: str


WANTS = {
    "told-yes": Answer,
    "told-no": Answer,
    "templates": Everything,
    "wanting": Wanting,
    "plain-yes": None,
    "plain-no": None,
    "plain-cancel": None,
    "silence": Answer,
    "late": Answer,
}


def say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@flow
async def gate(name: str) -> None:
    say(name=name, run=str(runtime.flow_run.id))
    if name == "late":
        await asyncio.sleep(4)
    wants = WANTS[name]
    options = {"timeout": 170, "poll_interval": 1, "key": "gate"}
    given = (
        await pause_flow_run(wait_for_input=wants, **options) if wants else await pause_flow_run(**options)
    )
    say(name=name, given=given.model_dump() if wants else None)


async def main(names: list[str]) -> None:
    await asyncio.gather(*(gate(name) for name in names), return_exceptions=True)


asyncio.run(main(sys.argv[1:] or list(WANTS)))
