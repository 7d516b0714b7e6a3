"""The wheel is built from this checkout, installed elsewhere, and used from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def run(*command: str | Path, cwd: Path, pythonpath: Path | None = None) -> str:
    """The output of a command that must succeed, run with nothing of this checkout in its environment."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    if pythonpath:
        env["PYTHONPATH"] = str(pythonpath)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it, as `site-packages` would have it."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--quiet", "--no-deps", "--no-index", "--target", folder)
    run(sys.executable, "-m", "pip", "install", *options, wheel, cwd=folder)
    return folder


def test_the_wheel_carries_every_template_and_the_manifest(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    templates = {path.relative_to(CHECKOUT) for path in (CHECKOUT / "templates").rglob("*") if path.is_file()}
    assert templates
    assert packed >= {f"bot/{path.as_posix()}" for path in templates} | {"bot/manifest.yml", "bot/py.typed"}


def test_the_wheel_carries_nothing_but_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"bot", f"assent-{PROJECT['version']}.dist-info"}


def test_the_installed_command_runs_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    told = run(sys.executable, installed / "bin" / "assent", "--help", cwd=tmp_path, pythonpath=installed)
    assert "submit" in told
    told = run(sys.executable, "-m", "bot", "manifest", cwd=tmp_path, pythonpath=installed)
    assert "display_information:" in told


def test_the_installed_package_finds_its_own_files(installed: Path, tmp_path: Path) -> None:
    for name in ("templates", "manifest.yml"):
        code = f"from bot.resources import resource; print(resource({name!r}))"
        found = run(sys.executable, "-c", code, cwd=tmp_path, pythonpath=installed).strip()
        assert found == str(installed / "bot" / name)


def brought_by(requirements: list[str]) -> set[str]:
    """The names of everything that installing these requirements brings, without extras."""
    brought: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and name not in brought:
            brought.add(name)
            waiting += [Requirement(line) for line in metadata.requires(name) or []]
    return brought


TEST_KIT = """
from bot.client import require_approval
from bot.client.testing import OfflineClient, edit, reject
form = {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 100}}}
asked = {"title": "Refund", "audience": ["email:ana@example.com"], "payload": {"amount": 7}, "form": form}
client = OfflineClient([edit(amount=9), reject("no")])
print(client.wait(client.submit(**asked).id).payload)
print(client.wait(client.submit(**asked, source_url="https://example.com:8443/x").id).status)
"""

POLICY = """[groups]
finance = ["ana@example.com"]
[[policies]]
name = "small"
when = { "payload.amount" = { max = 100 } }
then = "approve"
reason = "It is small."
"""


EXTRAS = {
    "langgraph": "langgraph",
    "mcp": "mcp",
    "openai_agents": "openai-agents",
    "pydantic_ai": "pydantic-ai",
}
"""The adapters that need a framework, which their extra brings."""

INNER = {"mcp_tasks"}
"""What only an adapter of those imports."""


def client_side(installed: Path) -> list[str]:
    """Every module of the client, the command and the test kit, and the adapters that need no framework."""
    rooms = (installed / "bot" / room for room in ("client", "cli", "adapters"))
    files = [
        file for room in rooms for file in sorted(room.rglob("*.py")) if file.stem not in {*EXTRAS, *INNER}
    ]
    files.append(installed / "bot" / "pytest_plugin.py")
    names = (".".join(file.relative_to(installed).with_suffix("").parts) for file in files)
    return [name.removesuffix(".__init__") for name in names]


def test_clients_test_kit_and_commands_need_only_the_base_install(installed: Path, tmp_path: Path) -> None:
    base = brought_by([*PROJECT["dependencies"], "pytest"]) | {PROJECT["name"]}
    owners = metadata.packages_distributions().items()
    blocked = [module for module, names in owners if base.isdisjoint(map(canonicalize_name, names))]
    assert {"aiohttp", "slack_bolt", "sqlalchemy", "yarl"} <= set(blocked)

    def runs(script: str) -> str:
        code = f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n{script}"
        return run(sys.executable, "-c", code, cwd=tmp_path, pythonpath=installed)

    def assent(*arguments: str) -> str:
        return runs(f"from bot.__main__ import main\nsys.argv = {['assent', *arguments]!r}\nsys.exit(main())")

    modules = client_side(installed)
    assert {"bot.client.testing", "bot.client.transport.operations", "bot.cli.commands.server"} <= {*modules}
    runs("\n".join(f"import {module}" for module in modules))
    for name in sorted(EXTRAS):
        assert f"pip install 'assent[{EXTRAS[name]}]'" in runs(
            f"try: import bot.adapters.{name}\nexcept ModuleNotFoundError as error: print(error)"
        )
    database = "from bot.client import Client\ntry: Client('sqlite:///assent.db').pending()"
    assert "pip install 'assent[server]'" in runs(
        f"{database}\nexcept ModuleNotFoundError as error: print(error)"
    )
    assert "submit" in assent("--help")
    assert runs(TEST_KIT) == "{'amount': 9}\nrejected\n"
    (tmp_path / "assent.toml").write_text(POLICY)
    for amount, decision in ((7, "approved"), (700, "ask")):
        asked = {"title": "Refund", "audience": ["group:finance"], "payload": {"amount": amount}}
        (tmp_path / "request.json").write_text(json.dumps(asked))
        assert json.loads(assent("policy", "--json", "request.json"))["decision"] == decision
        assert f"Amount: {amount}" in assent("view", "request.json")
