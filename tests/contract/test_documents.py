"""What the documents tell people to do: every snippet runs against a real server, every file and link exists.

Blocks marked `bash` run as they stand, in order, in one shell a section; those marked `sh` need a person, a
token or an installation, so only the commands in them are looked at.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shlex
import sys
import tomllib
from io import StringIO
from typing import TYPE_CHECKING

import pytest
import yaml
from dotenv import dotenv_values

from bot import settings
from bot.approvals.audience.groups import Asker
from bot.sandbox.mail.relay import Mailbox
from tests.support import command
from tests.support.command import CHECKOUT
from tests.support.documents import DOCUMENTS, PATHS, anchors, blocks, prose
from tests.support.person import run_snippet
from tests.support.product import Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANA, BEN = "ana@example.com", "ben@example.com"
MAX_PICTURE = 300 * 1024
"""Bytes."""


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as relay:
        yield relay


@pytest.fixture
async def product(sqlite_url: str, mailbox: Mailbox) -> AsyncIterator[Product]:
    async with running(sqlite_url, mailbox=mailbox) as product:
        yield product


async def run(product: Product, *program: str, stdin: str) -> str:
    """The output of a program that must succeed, with the product's address and key in its environment."""
    process = await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=command.environment(ASSENT_URL=product.url, ASSENT_API_KEY=product.key),
    )
    done = await command.finish(process, stdin)
    assert (done.status, done.err) == (0, ""), done.out
    return done.out


async def shell(product: Product, section: str) -> str:
    [script] = blocks("bash", section)
    assent = f'assent() {{ {shlex.quote(sys.executable)} -m bot "$@"; }}\n'
    return await run(product, "bash", "-euo", "pipefail", "-s", stdin=assent + script)


async def test_the_api_by_curl(product: Product, mailbox: Mailbox) -> None:
    out = await shell(product, "Ask over the API")
    for shown in (
        '"links"',
        '"status":"rejected"',
        "Ask for photos",
        "already_resolved",
        '"status":"accepted"',
    ):
        assert shown in out.replace('": ', '":')
    assert "Version 4.2 is out" in (await mailbox.next_message(ANA, where=lambda m: "4.2" in m.text)).text


async def test_the_command_line(product: Product) -> None:
    out = await shell(product, "Ask from a shell")
    assert out.endswith("deploying\n")


async def test_the_streams_and_receipts(product: Product) -> None:
    out = await shell(product, "Follow what happens, and prove it")
    for shown in ("event: request.created", "event: request.resolved", '"receipt":"ey', '"crv":"Ed25519"'):
        assert shown in out


async def answered(product: Product, mailbox: Mailbox) -> None:
    """Ana approves the one request that waits, once she was told."""
    await mailbox.next_message(ANA)
    [waiting] = (await product.call("GET", "/v1/pending")).json["items"]
    await product.answer(waiting, "approve", ANA)


async def test_the_python_client(product: Product, mailbox: Mailbox) -> None:
    [script] = blocks("python", "Ask from Python")
    ended = asyncio.create_task(run(product, sys.executable, "-", stdin=script))
    await answered(product, mailbox)
    assert await ended == "refunding 1250\n"


async def test_the_first_call_by_curl(product: Product, mailbox: Mailbox) -> None:
    ended = asyncio.create_task(shell(product, "Ask by curl"))
    await answered(product, mailbox)
    assert json.loads(await ended)["status"] == "approved"


def test_the_settings_files_can_be_loaded(tmp_path: Path) -> None:
    [groups] = blocks("toml", "Settings")
    (tmp_path / "assent.toml").write_text(groups, encoding="utf-8")
    values = {k: v for block in blocks("ini") for k, v in dotenv_values(stream=StringIO(block)).items() if v}
    loaded = settings.load(values)
    assert loaded.slack_app_token
    assert loaded.smtp
    assert loaded.groups["finance"] == (ANA, "slack:U0123456789")


async def test_the_commands_for_people_exist() -> None:
    lines = [part for block in blocks("sh") for line in block.splitlines() for part in line.split(" && ")]
    targets = {line.split()[1] for line in lines if line.startswith("make ")}
    made = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets
    assert targets <= made
    spoken = {tuple(shlex.split(line)[1:]) for line in lines if line.startswith("assent ")}
    inline = [c for text in DOCUMENTS.values() for c in re.findall(r"`assent ([^`…]+)`", prose(text))]
    spoken |= {tuple(shlex.split(c)) for c in inline}
    for words in spoken:
        options = [word for word in words if word.startswith("--")]
        names = [word for word in words[:2] if re.fullmatch("[a-z][a-z-]*", word)]
        shown = await command.run(*names, "--help")
        assert shown.status == 0, shown.err
        assert [option for option in options if option not in shown.out] == []


LINK = re.compile(r"\]\(([^)\s]+)\)")
GENERATED = re.compile(r"^\{\{ \w+ \}\}$", re.MULTILINE)
"""What the build puts in; its headings are not there before."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    links = [link for link in LINK.findall(prose(DOCUMENTS[name])) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not leads_somewhere(name, link)] == []


def leads_somewhere(name: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = ((CHECKOUT / name).parent / path).resolve() if path else CHECKOUT / name
    if not target.is_file():
        return False
    text = target.read_text(encoding="utf-8") if anchor else ""
    return not anchor or anchor in anchors(text) or bool(GENERATED.search(text))


NAMED = re.compile(r"`((?:bot|tests|templates|examples|docs|bench)/[\w./-]+|[\w-]+\.(?:toml|yml))`")
MADE = {"assent.toml"}
"""Files that people write for themselves."""


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_every_file_that_it_names_is_there(name: str) -> None:
    named = set(NAMED.findall(prose(DOCUMENTS[name]))) - MADE
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    assert leads_somewhere("README.md", "docs/index.md")
    assert not leads_somewhere("README.md", "docs/nothing.md")
    assert not leads_somewhere("README.md", "SECURITY.md#nothing")


MAX_README = 150
"""Lines."""


def test_the_readme_is_short_and_has_the_two_commands() -> None:
    readme = DOCUMENTS["README.md"]
    assert len(readme.splitlines()) <= MAX_README
    assert [line.partition("#")[0].strip() for line in blocks("sh", "Try it")[0].splitlines()] == [
        "make demo",
        "make test",
    ]


def test_every_page_is_in_the_site() -> None:
    listed = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [
        path.relative_to(CHECKOUT / "docs").as_posix()
        for path in PATHS
        if (CHECKOUT / "docs") in path.parents
    ]
    assert [page for page in pages if f"- {page}\n" not in listed] == []


def test_every_block_of_code_can_be_read() -> None:
    for language, read in [
        ("json", json.loads),
        ("yaml", yaml.safe_load),
        ("toml", tomllib.loads),
        ("python", ast.parse),
    ]:
        found = blocks(language)
        assert found
        for code in found:
            read(code)


def test_a_group_that_is_computed() -> None:
    manager = run_snippet("A group")["manager"]
    assert manager(Asker(labels={"amount": "large"})) == ["email:cfo@example.com"]
    assert manager(Asker(labels={})) == [f"email:{ANA}"]


def test_the_picture_is_small() -> None:
    for picture in (CHECKOUT / "docs").glob("*.png"):
        assert picture.stat().st_size <= MAX_PICTURE
