"""`assent claude-hook --check`: whether people really decide before this machine's Claude Code runs a tool.

Each check yields what it found, and how to mend what is unsafe. Nothing is asked of anybody.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.client import ApiError, AssentError
from bot.client.transport.protocol import exchange, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bot.client import Client

WITH_ON_FAILURE = (2, 1, 295)
"""The first Claude Code that knows `onFailure`: without it, a hook that is missing or late lets the tool run."""

NEEDED_NODE = 22
"""With an older Node.js, npm installs Claude Code 2.1.197, and no newer one."""

SPARE_SECONDS = 1.0
"""By how much the hook may end later than its `--wait`."""

NOWHERE = "/v1/requests/req_00000000000000000000000000/responses"
"""An answer to no request: what the server says to it tells what the key may do."""


class Found(NamedTuple):
    """One thing that was looked at; `text` says what was found or, where it is not ok, how to mend it."""

    check: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Hook:
    """An entry of Claude Code's settings that runs this hook."""

    file: Path
    command: str
    timeout: float | None
    on_failure: str | None

    def option(self, name: str, default: str) -> str:
        """What the command gives an option."""
        words = _words(self.command)
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word == name:
                return following
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return default

    @property
    def wait(self) -> float:
        try:
            return float(self.option("--wait", "5"))
        except ValueError:
            return 5.0


def check(connect: Callable[[], Client]) -> Iterator[Found]:
    """Look at everything that must be right."""
    yield from _program()
    settings = [(file, found) for file in _files() if (found := _read(file)) is not None]
    for file, content in settings:
        if not isinstance(content, dict):
            yield Found("settings", ok=False, text=f"{file} cannot be read: {content}")
    known = [(file, content) for file, content in settings if isinstance(content, dict)]
    yield from _hooks(known)
    environment = _environment(content for _, content in known)
    yield _audience(environment)
    yield from _key(environment)
    yield from _server(connect)


def version(text: str) -> tuple[int, ...] | None:
    """The numbers in what a program says of its version."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else None


def _program() -> Iterator[Found]:
    said = _said("claude", "--version")
    claude = version(said or "")
    if said is None:
        yield Found(
            "Claude Code", ok=False, text="there is no `claude` on the PATH: install it, or mend the PATH."
        )
    elif claude is None:
        yield Found("Claude Code", ok=False, text=f"`claude --version` says no version: {said[:80]!r}.")
    elif claude < WITH_ON_FAILURE:
        wanted = ".".join(map(str, WITH_ON_FAILURE))
        text = (
            f"{_dotted(claude)} RUNS a tool whose hook is missing, fails or is late, whatever `onFailure` says: "
            f"use {wanted} or newer{_node_advice()}."
        )
        yield Found("Claude Code", ok=False, text=text)
    else:
        yield Found("Claude Code", ok=True, text=f"{_dotted(claude)} blocks a tool whose hook fails")


def _node_advice() -> str:
    node = version(_said("node", "--version") or "")
    if node is None or node[0] >= NEEDED_NODE:
        return ""
    return f", for which npm wants Node.js {NEEDED_NODE} (here is {_dotted(node)})"


def _hooks(settings: list[tuple[Path, dict[str, Any]]]) -> Iterator[Found]:
    for file, content in settings:
        if content.get("disableAllHooks"):
            yield Found("hook", ok=False, text=f"{file} has disableAllHooks: no hook runs. Take that out.")
    hooks = [hook for file, content in settings for hook in _of(file, content)]
    if not hooks:
        looked = ", ".join(map(str, _files()))
        text = f"no PreToolUse hook runs `assent claude-hook`: tools run without anybody's answer. Looked in {looked}."
        yield Found("hook", ok=False, text=text)
    allowed = {rule.partition("(")[0] for _, content in settings for rule in _allowed(content)}
    for hook in hooks:
        faults = list(_faults(hook, allowed))
        yield from (Found("hook", ok=False, text=f"{hook.file}: {fault}") for fault in faults)
        if not faults:
            yield Found("hook", ok=True, text=f"{hook.file}: {hook.command}")


def _faults(hook: Hook, allowed: set[str]) -> Iterator[str]:
    words = _words(hook.command)
    if not words or shutil.which(words[0]) is None:
        yield f"the command {hook.command!r} is not found on the PATH; write the whole path of the program."
    if hook.on_failure != "block":
        yield 'without "onFailure": "block" the tool RUNS where the hook is missing, fails or is late.'
    least = hook.wait + SPARE_SECONDS
    if hook.timeout is None:
        yield f'it has no "timeout"; give it more than {least:g} seconds, for --wait {hook.wait:g}.'
    elif hook.timeout <= least:
        yield f'"timeout": {hook.timeout:g} must be more than {least:g}: the hook waits {hook.wait:g} s (--wait).'
    if hook.option("--pending", "defer") == "defer" and allowed:
        rules = ", ".join(sorted(allowed))
        yield (
            f"it defers, and rules allow {rules}: where Claude Code ignores a deferral (in a session that is not "
            "`claude -p`), the tool RUNS. Take the rules out, or give --pending deny."
        )


def _of(file: Path, content: dict[str, Any]) -> Iterator[Hook]:
    for matched in _list(_dict(content.get("hooks")).get("PreToolUse")):
        for hook in map(_dict, _list(_dict(matched).get("hooks"))):
            command = hook.get("command")
            if hook.get("type") == "command" and isinstance(command, str) and "claude-hook" in command:
                timeout, on_failure = hook.get("timeout"), hook.get("onFailure")
                yield Hook(
                    file,
                    command,
                    float(timeout) if isinstance(timeout, int | float) else None,
                    on_failure if isinstance(on_failure, str) else None,
                )


def _allowed(content: dict[str, Any]) -> list[str]:
    return [rule for rule in _list(_dict(content.get("permissions")).get("allow")) if isinstance(rule, str)]


def _audience(environment: dict[str, str]) -> Found:
    if audience := environment.get("ASSENT_DEFAULT_AUDIENCE", "").strip():
        return Found("audience", ok=True, text=f"{audience} decide")
    text = "ASSENT_DEFAULT_AUDIENCE is not set here: name who decides, or every call may be denied."
    return Found("audience", ok=False, text=text)


def _key(environment: dict[str, str]) -> Iterator[Found]:
    if "ASSENT_API_KEY_FILE" in environment:
        yield Found("key", ok=True, text=f"in the file {environment['ASSENT_API_KEY_FILE']}")
    elif "ASSENT_API_KEY" in environment:
        text = "in ASSENT_API_KEY, which every command that Claude runs can read; ASSENT_API_KEY_FILE keeps it apart"
        yield Found("key", ok=True, text=text)


def _server(connect: Callable[[], Client]) -> Iterator[Found]:
    try:
        with connect() as client:
            client.retry_for = 0
            asks, decides = _may(client, "/v1/requests", {}), _may(client, NOWHERE, {"decision": "approve"})
            answers = _may(client, NOWHERE, {"decision": "approve", "respondent": "email:nobody@example.com"})
            address = client.url
    except (AssentError, ValueError, OSError) as error:
        yield Found("server", ok=False, text=f"{error}. Look at ASSENT_URL and the key.")
        return
    yield Found("server", ok=True, text=f"{address} answers")
    if not asks:
        yield Found(
            "key", ok=False, text="it may not ask: make one with `assent keys create --scopes submit`."
        )
    if decides or answers:
        text = (
            "it may also DECIDE, and what Claude runs can read it: Claude could approve its own calls. "
            "Make one with `assent keys create --scopes submit`."
        )
        yield Found("key", ok=False, text=text)


def _may(client: Client, path: str, body: dict[str, Any]) -> bool:
    """Whether the key may make a call, of which nothing can come; raises what is wrong with the key or the server."""
    try:
        client.run(exchange(post(path, body), 0))
    except ApiError as error:
        if error.status == 401 or error.status >= 500:
            raise
        return error.code != "forbidden_scope"
    return True


def _files() -> list[Path]:
    """Where Claude Code reads its settings, those that overrule others last."""
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    here = Path.cwd() / ".claude"
    managed = Path("/etc/claude-code/managed-settings.json")
    return list(
        dict.fromkeys([home / "settings.json", here / "settings.json", here / "settings.local.json", managed])
    )


def _read(file: Path) -> Any:
    """The settings in a file; None where it is not there, the trouble in words where it cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return str(error)
    return content if isinstance(content, dict) else "it is no JSON object"


def _environment(settings: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What the hook finds in its environment: the settings add to what is set here."""
    added = [(name, value) for content in settings for name, value in _dict(content.get("env")).items()]
    return {**os.environ, **{name: value for name, value in added if isinstance(value, str)}}


def _said(program: str, *options: str) -> str | None:
    """What a program prints; None where there is none, or it does not run."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, *options], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - as people start it
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or done.stderr.strip()


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
