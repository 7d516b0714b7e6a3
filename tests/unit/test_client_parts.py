"""What the client loads, shows at a terminal, and says of itself."""

from __future__ import annotations

import inspect
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bot
from bot.client import AsyncClient, Client, Request, fields
from bot.client.terminal.spinner import Waiting
from bot.client.transport.descriptors import operation
from bot.client.transport.operations import Operations
from bot.schemas import requests
from tests.support.command import environment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_importing_the_client_loads_none_of_what_is_slow() -> None:
    code = "import sys, bot.client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    slow = {"aiohttp", "asyncio", "httpx", "joserfc", "pydantic", "rich", "slack_sdk", "sqlalchemy"}
    assert slow & set(done.stdout.split()) == set()


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (fields.Fields, requests.SubmitBody),
        (fields.Given, requests.RespondBody),
        (fields.Answer, requests.BulkBody),
        (fields.Changes, requests.ReviseBody),
        (fields.Target, requests.NotifyBody),
    ],
)
def test_every_field_of_a_body_is_a_keyword_that_editors_know(said: type, taken: type[requests.Body]) -> None:
    positional = (
        {"decision", "requests"}
        if "decision" in taken.model_fields
        else {"message"} - {*said.__annotations__}
    )
    assert said.__annotations__.keys() == taken.model_fields.keys() - positional


@pytest.mark.parametrize(
    ("method", "taken"),
    [
        (Operations.cancel, requests.ReasonBody),
        (Operations.remind, requests.ReasonBody),
        (Operations.escalate, requests.EscalateBody),
        (Operations.delegate, requests.DelegateBody),
        (Operations.withdraw, requests.WithdrawBody),
        (Operations.comment, requests.CommentBody),
    ],
)
def test_what_is_done_with_a_request_takes_the_fields_of_its_body(
    method: operation[..., Request], taken: type[requests.Body]
) -> None:
    parameters = inspect.signature(method.flow).parameters
    assert parameters.keys() - {"self", "id"} == taken.model_fields.keys()
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values())


def test_no_call_takes_keywords_that_nobody_knows() -> None:
    """What a method takes beside its own parameters stands in a TypedDict."""
    flows = [found.flow for found in vars(Operations).values() if isinstance(found, operation)]
    loose = [
        parameter
        for flow in flows
        for parameter in inspect.signature(flow).parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD and not str(parameter.annotation).startswith("Unpack[")
    ]
    assert flows
    assert loose == []


def test_nothing_that_users_read_cites_what_they_do_not_have() -> None:
    rooms = ("client", "cli", "workflows", "adapters")
    files = [file for room in rooms for file in Path(bot.__file__).parent.joinpath(room).rglob("*.py")]
    assert files
    assert [file for file in files if re.search("CONTRACT|DESIGN", file.read_text(encoding="utf-8"))] == []


def test_a_long_wait_shows_a_line_at_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with Waiting() as waiting:
            waiting.say("")
            assert stream.getvalue() == ""
            waiting.say("waiting for req_1")
            waiting.say("waiting for req_1: 1 of 2 approvals")
        assert ("req_1: 1 of 2 approvals" in stream.getvalue()) is stream.isatty()


def test_a_database_is_shown_without_its_password() -> None:
    for kind in (Client, AsyncClient):
        client = kind("postgresql://ana:s3cret@db.example.com/assent?sslpassword=s3cret")
        assert repr(client) == f"{kind.__name__}('postgresql://ana@db.example.com/assent')"


def test_a_database_without_the_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bot.embedded", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"a database, which needs .*aiohttp is missing.*assent\[server\]"
    ):
        Client("sqlite:///assent.db").get("req_1")
