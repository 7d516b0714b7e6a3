"""`assent doctor` against a real mail server, a real database and a Slack with faults: it finds each one."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

import pytest
from aiohttp import web

from bot.sandbox.mail.relay import Mailbox
from bot.sandbox.slack.sandbox import SlackSandbox
from bot.store import migrations
from tests.store.conftest import opened
from tests.support import command
from tests.support.asking import asked, somebody
from tests.support.pgbouncer import pooled
from tests.support.ports import free_port
from tests.support.storing import save

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox(tls="starttls", credentials=("assent", "pa/ss")) as relay:
        yield relay


@pytest.fixture
def settings(slack: SlackSandbox, mailbox: Mailbox, sqlite_url: str) -> dict[str, str]:
    return {
        "ASSENT_DATABASE_URL": sqlite_url,
        "ASSENT_API_KEY": "a-bootstrap-key-of-the-tests",
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "ASSENT_SMTP_URL": mailbox.url,
        "ASSENT_MAIL_FROM": "assent@example.com",
    }


async def faults(**settings: str) -> dict[str, str]:
    """What doctor says is wrong, by what it looked at; its exit status must agree."""
    done = await command.run("doctor", "--json", **settings)
    found = {finding["check"]: finding["text"] for finding in done.json if not finding["ok"]}
    assert done.status == (1 if found else 0), done.err
    assert done.err == ""
    return found


@pytest.mark.parametrize("spared", [True, False])
async def test_slack_is_asked_the_way_that_the_environment_says(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, spared: bool
) -> None:
    """Nothing listens at this proxy; what `NO_PROXY` names is reached without it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1" if spared else "slack.intern.example")
    assert ("Slack token" in await faults(**settings)) is not spared


async def test_a_good_house_has_no_faults(settings: dict[str, str]) -> None:
    assert (await command.run("db", "upgrade", **settings)).status == 0
    done = await command.run("doctor", **settings)
    assert (done.status, done.err) == (0, "")
    checks = ["settings", "database", "Slack token", "Slack scopes", "clock", "Slack app token", "mail"]
    assert [line.removeprefix("ok     ").partition(":")[0] for line in done.out.splitlines()] == checks


async def test_every_bad_setting_is_named_without_its_secret() -> None:
    done = await command.run(
        "doctor", ASSENT_PORT="many", SLACK_BOT_TOKEN="xoxb-secret", ASSENT_SECRET_KEYS="short"
    )
    assert done.status == 1
    assert "ASSENT_PORT" in done.out
    assert "ASSENT_SECRET_KEYS" in done.out
    assert "secret" not in done.out + done.err


async def test_all_faults_are_named_at_once(
    settings: dict[str, str], slack: SlackSandbox, mailbox: Mailbox, unused_tcp_port: int
) -> None:
    slack.backend.workspace.scopes.remove("users:read.email")
    mailbox.fail("auth", "535 5.7.8 no", times=None)
    database = f"postgresql://assent:pa55@127.0.0.1:{unused_tcp_port}/assent"
    found = await faults(**{**settings, "ASSENT_DATABASE_URL": database, "SLACK_APP_TOKEN": "xapp-old"})
    assert found.keys() == {"database", "Slack scopes", "Slack app token", "mail"}
    assert "users:read.email" in found["Slack scopes"]
    assert "connections:write" in found["Slack app token"]
    assert "pa55" not in found["database"]
    assert "pa/ss" not in found["mail"]


async def test_a_schema_that_is_behind_says_how_to_mend_it(settings: dict[str, str]) -> None:
    assert "assent db upgrade" in (await faults(**settings))["database"]


async def test_a_refused_token_is_told_from_a_slack_that_is_not_there(
    settings: dict[str, str], unused_tcp_port: int
) -> None:
    await command.run("db", "upgrade", **settings)
    assert (await faults(**{**settings, "SLACK_BOT_TOKEN": "xoxb-old"}))["Slack token"] == (
        "Slack answered invalid_auth: look at SLACK_BOT_TOKEN."
    )
    away = await faults(**{**settings, "SLACK_API_URL": f"http://127.0.0.1:{unused_tcp_port}/api/"})
    assert "does not answer" in away["Slack token"]


async def test_what_answers_but_is_not_slack_is_a_fault(
    settings: dict[str, str], slack: SlackSandbox
) -> None:
    await command.run("db", "upgrade", **settings)
    found = await faults(**{**settings, "SLACK_API_URL": slack.origin + "/nowhere/"})
    assert found.keys() == {"Slack token", "Slack app token"}


@pytest.mark.parametrize(("minutes", "says"), [(10, "behind"), (-10, "ahead of")])
async def test_a_wrong_clock_is_found(settings: dict[str, str], minutes: int, says: str) -> None:
    await command.run("db", "upgrade", **settings)

    async def auth_test(_request: web.Request) -> web.Response:
        slacks = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
        headers = {"Date": format_datetime(slacks, usegmt=True), "X-OAuth-Scopes": scopes}
        return web.json_response({"ok": True, "user": "assent", "team": "Acme"}, headers=headers)

    async def open_socket(_request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "url": "wss://nowhere.example.com"})

    scopes = "chat:write,commands,im:write,users:read,users:read.email"
    app = web.Application()
    app.add_routes(
        [web.post("/api/auth.test", auth_test), web.post("/api/apps.connections.open", open_socket)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    found = await faults(**{**settings, "SLACK_API_URL": url})
    await runner.cleanup()
    assert found.keys() == {"clock"}
    assert f"{says} Slack's" in found["clock"]


async def test_db_check_says_whether_the_schema_is_current(database_url: str) -> None:
    env = {"ASSENT_DATABASE_URL": database_url}
    behind = await command.run("db", "check", "--json", **env)
    assert (behind.status, behind.json) == (1, {"current": False})
    assert (await command.run("db", "upgrade", **env)).status == 0
    current = await command.run("db", "check", **env)
    assert (current.status, current.out) == (0, "The schema is up to date.\n")


async def test_db_names_a_database_that_cannot_be_used(unused_tcp_port: int) -> None:
    url = f"postgresql://assent:pa55@127.0.0.1:{unused_tcp_port}/assent"
    done = await command.run("db", "upgrade", ASSENT_DATABASE_URL=url)
    assert done.status == 1
    assert f"127.0.0.1:{unused_tcp_port}" in done.err
    assert "pa55" not in done.err
    assert "Traceback" not in done.err


async def test_bad_settings_exit_2_with_every_fault() -> None:
    done = await command.run("serve", ASSENT_PORT="many", ASSENT_DATABASE_URL="mysql://x/y")
    assert done.status == 2
    assert "ASSENT_PORT" in done.err
    assert "ASSENT_DATABASE_URL" in done.err


async def test_the_manifest_carries_the_url_it_is_given() -> None:
    url = "https://approvals.example.com/slack/events"
    over_http = (await command.run("manifest", "--url", "https://approvals.example.com/", "--json")).json
    assert over_http["settings"]["event_subscriptions"]["request_url"] == url
    assert over_http["settings"]["socket_mode_enabled"] is False
    socket_mode = await command.run("manifest")
    assert "socket_mode_enabled: true" in socket_mode.out
    assert "request_url" not in socket_mode.out


async def test_a_manifest_for_an_address_slack_cannot_call_says_so() -> None:
    url = "http://127.0.0.1:25401"
    for done in (
        await command.run("manifest", "--json", "--url", url),
        await command.run("manifest", "--json", ASSENT_BASE_URL=url),
    ):
        assert done.json["settings"]["event_subscriptions"]["request_url"] == f"{url}/slack/events"
        assert done.status == 0
        assert done.err.startswith(f"assent: {url}: Slack calls https addresses only")


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
async def test_a_pooler_is_looked_through(postgres_url: str, mode: str) -> None:
    migrations.upgrade(postgres_url)
    with pooled(postgres_url, mode) as url:
        done = await command.run("doctor", "--json", ASSENT_DATABASE_URL=url)
    [found] = [finding for finding in done.json if finding["check"] == "database"]
    words = {"session": "reachable, its", "transaction": "in transaction mode", "statement": "statement"}
    assert (found["ok"], words[mode] in found["text"]) == (mode != "statement", True)


async def test_other_secret_keys_than_those_of_the_audit_trail_are_told(sqlite_url: str) -> None:
    migrations.upgrade(sqlite_url)
    async with opened(sqlite_url, "k" * 32) as store:
        await save(store, asked(somebody("ana")))
    for key, told in (("k", []), ("n", [False])):
        done = await command.run(
            "doctor", "--json", ASSENT_DATABASE_URL=sqlite_url, ASSENT_SECRET_KEYS=key * 32
        )
        found = [finding for finding in done.json if finding["check"] == "audit trail"]
        assert [finding["ok"] for finding in found] == told
        assert all("is not among the secret keys here" in finding["text"] for finding in found)


async def test_a_house_in_which_nobody_can_ask_or_be_asked_is_not_well(sqlite_url: str) -> None:
    bare = {"ASSENT_DATABASE_URL": sqlite_url}
    await command.run("db", "upgrade", **bare)
    found = await faults(**bare)
    assert found.keys() == {"keys", "people"}
    assert "assent keys create" in found["keys"]
    assert "ASSENT_SMTP_URL" in found["people"]
    made = await command.run("keys", "create", "--name", "ci", "--scopes", "submit", "--json", **bare)
    assert (await faults(**bare)).keys() == {"people"}
    await command.run("keys", "revoke", made.json["id"], **bare)
    assert (await faults(**bare)).keys() == {"keys", "people"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ASSENT_SMPT_URL", "ASSENT_SMTP_URL"),
        ("ASSENT_DATABSE_URL", "ASSENT_DATABASE_URL"),
        ("SLACK_SIGNING_SECERT", "SLACK_SIGNING_SECRET"),
        ("ASENT_MAIL_FROM", "ASSENT_MAIL_FROM"),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
async def test_a_misspelt_setting_is_named(
    settings: dict[str, str], name: str, meant: str, where: str, tmp_path: Path
) -> None:
    await command.run("db", "upgrade", **settings)
    if where == ".env":
        (tmp_path / ".env").write_text(f"{name}=s3cret\n")
    found = await faults(**settings, **({name: "s3cret"} if where == "environment" else {}))
    assert found == {"settings": f"{name} is no setting of Assent: is {meant} meant?"}


async def test_what_is_no_setting_and_like_none_is_let_be(settings: dict[str, str]) -> None:
    await command.run("db", "upgrade", **settings)
    others = {
        "ASSENT_URL": "http://x",
        "ASSENT_AUDIENCE": "a@example.com",
        "SLACK_WEBHOOK_URL": "https://x",
        "PORT": "1",
    }
    assert await faults(**settings, **others) == {}


@pytest.mark.parametrize("wrong", ["starttls", "none"])
async def test_a_relay_that_speaks_tls_at_once_is_told(settings: dict[str, str], wrong: str) -> None:
    await command.run("db", "upgrade", **settings)
    async with Mailbox(tls="implicit") as relay:
        url = f"smtp://127.0.0.1:{relay.port}?tls={wrong}"
        found = await faults(**{**settings, "ASSENT_SMTP_URL": url})
    assert "write tls=implicit" in found["mail"]


@pytest.mark.parametrize(
    ("stage", "reply", "said"),
    [
        ("rcpt", "550 5.7.1 Relaying denied", "user name and a password"),
        ("mail", "530 5.7.0 Authentication required", "user name and a password"),
        ("mail", "451 4.7.1 Greylisted", "try again later"),
        ("rcpt", "450 4.2.0 Busy", "try again later"),
    ],
)
async def test_a_relay_that_would_not_take_a_mail_is_found(
    settings: dict[str, str], stage: Literal["mail", "rcpt"], reply: str, said: str
) -> None:
    await command.run("db", "upgrade", **settings)
    async with Mailbox() as relay:
        relay.fail(stage, reply, times=None)
        found = await faults(**{**settings, "ASSENT_SMTP_URL": relay.url})
        assert relay.messages() == []
    assert said in found["mail"]
    assert reply[:3] in found["mail"]


async def test_a_relay_that_cannot_log_in_just_now_has_no_wrong_password(
    settings: dict[str, str], mailbox: Mailbox
) -> None:
    await command.run("db", "upgrade", **settings)
    mailbox.fail("auth", "454 4.7.0 Temporary authentication failure", times=None)
    found = await faults(**settings)
    assert "may pass" in found["mail"]
    assert "password" not in found["mail"]
    assert mailbox.messages() == []
