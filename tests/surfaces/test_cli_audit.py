"""`assent audit`: whatever was done to the trail behind its back is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bot.receipts import Receipts
from bot.settings import SIGNING_KEY
from bot.store import migrations
from bot.store.execution import sessions
from tests.store.conftest import opened
from tests.support import command
from tests.support.asking import NOW, asked, response, somebody
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "k" * 32, "n" * 32


@pytest.fixture
async def url(sqlite_url: str) -> str:
    """A database with three events: a request asked, answered, resolved."""
    migrations.upgrade(sqlite_url)
    async with opened(sqlite_url, KEY) as store:
        await save(store, asked(somebody("ana")))
        await happen(store, "req_1", response("ana", reason="fine"))
    return sqlite_url


async def run(url: str, *words: str, keys: str = KEY) -> command.Done:
    return await command.run("audit", *words, ASSENT_DATABASE_URL=url, ASSENT_SECRET_KEYS=keys)


async def verify(url: str, *options: str, keys: str = KEY) -> command.Done:
    return await run(url, "verify", *options, keys=keys)


def tamper(url: str, *statements: str) -> None:
    with sessions.writing(url) as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


CUT = ("DELETE FROM events WHERE seq > 1", "UPDATE chain SET seq = 1, hash = (SELECT hash FROM events)")


async def test_an_honest_trail_is_ok(url: str) -> None:
    done = await verify(url)
    assert done == command.Done(0, "OK: 3 events, each as it was written.\n", "")
    said = (await verify(url, "--json")).json
    assert said.pop("sealed_with")
    assert said == {"ok": True, "events": 3, "fault": None, "unsealed": 0}


@pytest.mark.parametrize(
    ("statement", "good", "fault"),
    [
        (
            "UPDATE events SET body = replace(body, 'fine', 'mine') WHERE seq = 2",
            1,
            "event 2 of req_1 was altered",
        ),
        ("UPDATE events SET body = substr(body, 1, 20) WHERE seq = 2", 1, "event 2 of req_1 was altered"),
        ("DELETE FROM events WHERE seq = 2", 1, "event 2 is missing"),
        ("DELETE FROM events WHERE seq > 1", 1, "events after 1 are missing"),
    ],
    ids=["altered", "cut", "deleted", "truncated"],
)
async def test_what_was_tampered_with_is_named(url: str, statement: str, good: int, fault: str) -> None:
    tamper(url, statement)
    done = await verify(url)
    assert (done.status, done.err) == (1, "")
    assert done.out.startswith(f"Not OK: {fault}. ")
    said = (await verify(url, "--json")).json
    assert {name: said[name] for name in ("ok", "events", "fault")} == {
        "ok": False,
        "events": good,
        "fault": fault,
    }


async def test_a_request_that_is_not_what_its_events_come_to_is_named(url: str) -> None:
    tamper(url, "UPDATE requests SET state = replace(state, 'Ana', 'Eve')")
    done = await verify(url)
    fault = "req_1 is stored as other than its events say: respondents, outcome"
    said = " ".join(done.out.split())
    assert (done.status, said) == (1, f"Not OK: {fault}. All 3 events are as they were written.")


async def test_a_trail_that_was_cut_and_its_end_set_back_is_found(url: str) -> None:
    tamper(url, *CUT, "UPDATE requests SET state = state")
    done = await verify(url)
    assert (done.status, done.err) == (1, "")
    assert "events after 1 are missing" in " ".join(done.out.split())


async def test_without_the_secret_keys_a_seal_is_not_taken_on_trust(url: str, tmp_path: Path) -> None:
    done = await verify(url, keys="")
    said = " ".join(done.out.split())
    assert done.status == 1
    assert "cannot be checked: there are no secret keys here" in said
    assert "set ASSENT_SECRET_KEYS as the server has them" in said.replace("Set", "set")
    assert not (tmp_path / SIGNING_KEY).exists(), "looking makes no key"
    for words in (("head",), ("seal",), ("verify", "--head", "h1.x")):
        done = await run(url, *words, keys="")
        assert (done.status, done.out) == (2, "")
        assert "the secret keys are not here" in done.err
    (tmp_path / SIGNING_KEY).write_text(KEY + "\n")
    assert (await verify(url, keys="")).status == 0


async def test_another_key_is_told(url: str) -> None:
    done = await verify(url, keys=OTHER)
    said = " ".join(done.out.split())
    assert done.status == 1
    assert "is not among the secret keys here" in said
    assert "`assent audit seal`" in said
    assert (await verify(url, keys=f"{OTHER},{KEY}")).status == 0


async def test_the_head_kept_elsewhere_finds_a_trail_that_was_set_back(url: str) -> None:
    row = "SELECT seq, hash, seal FROM chain"
    with sessions.reading(url) as connection:
        before = connection.execute(sa.text(row)).one()
    async with opened(url, KEY) as store:
        await save(store, asked(somebody("ana"), request_id="req_2"))
    head = (await run(url, "head")).out.strip()
    assert (await run(url, "head", "--json")).json["head"] == head
    assert (await run(url, "head", "--json")).json["seq"] == 4
    assert (await verify(url, "--head", head)).status == 0
    back = f"UPDATE chain SET seq = 3, hash = '{before.hash}', seal = '{before.seal}'"
    gone = ("requests WHERE id = 'req_2'", "terms WHERE request_id = 'req_2'")
    tamper(url, "DELETE FROM events WHERE seq > 3", back, *(f"DELETE FROM {each}" for each in gone))
    assert (await verify(url)).status == 0, "what the trail was once it may be again, as far as it can tell"
    done = await verify(url, "--head", f" {head}\n")
    assert (done.status, " ".join(done.out.split())) == (
        1,
        "Not OK: event 4, which the trail had before, is missing.",
    )


async def test_a_receipt_is_a_head_too(url: str) -> None:
    async with opened(url, KEY) as store:
        events = await store.read(lambda tx: tx.events("req_1"))
        request = await store.read(lambda tx: tx.request("req_1"))
    assert request
    receipt = Receipts("http://127.0.0.1", [KEY]).sign(request, events[-1], NOW)
    assert (await verify(url, "--head", receipt)).status == 0
    foreign = Receipts("http://127.0.0.1", [OTHER]).sign(request, events[-1], NOW)
    done = await verify(url, "--head", foreign)
    assert (done.status, done.out) == (2, "")
    assert "no receipt that the secret keys here have signed" in done.err
    tamper(url, *CUT)
    done = await verify(url, "--head", receipt)
    assert done.status == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda head: head[:-1], "this is no sealed head"),
        (lambda head: "", "this is no sealed head"),
        (lambda head: "3", "this is no sealed head"),
        (lambda head: "a.b.c", "this is no receipt"),
        (lambda head: head.replace(".3.", ".2."), "forged"),
        (lambda head: head[:-1] + ("0" if head[-1] != "0" else "1"), "forged"),
        (lambda head: head.replace(head.split(".")[1], "00000000"), "not among the secret keys here"),
    ],
    ids=["short", "empty", "number", "no receipt", "renumbered", "altered", "other key"],
)
async def test_what_is_no_head_is_said(url: str, change: object, words: str) -> None:
    head = (await run(url, "head")).out.strip()
    done = await verify(url, "--head", change(head))  # type: ignore[operator]  # one of those above
    assert (done.status, done.out) == (2, "")
    assert words in " ".join(done.err.split())
    assert "Traceback" not in done.err


async def test_what_is_understood_is_sealed_anew(url: str) -> None:
    tamper(url, *CUT)
    refused = await run(url, "head")
    assert (refused.status, refused.out) == (1, "")
    assert "events after 1 are missing" in " ".join(refused.err.split())
    sealed = await run(url, "seal")
    assert (sealed.status, sealed.err) == (0, "")
    assert "Sealed: 1 events" in sealed.out
    done = await verify(url)
    assert "req_1 is stored as other than its events say" in " ".join(done.out.split())
    tamper(url, "UPDATE events SET body = 'x'")
    assert (await run(url, "seal")).status == 1


async def test_a_trail_of_before_is_sealed_by_the_upgrade(url: str) -> None:
    tamper(url, "UPDATE chain SET seal = NULL")
    done = await verify(url)
    assert (done.status, "has no seal" in done.out) == (1, True)
    upgraded = await command.run("db", "upgrade", ASSENT_DATABASE_URL=url, ASSENT_SECRET_KEYS=KEY)
    assert upgraded.status == 0
    done = await verify(url)
    assert done.status == 0
    assert "3 of them, the last being event 3, were written before there was a seal" in " ".join(
        done.out.split()
    )
