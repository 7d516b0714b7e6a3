"""What a type checker, and so an editor, knows of the client: every keyword, and none besides."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

SETTINGS = """[mypy]
python_version = 3.11
strict = True
mypy_path = {checkout}
follow_imports = silent
# What the client's own annotations do not name need not be read.
[mypy-httpx.*,rich.*,joserfc.*,bot.embedded,bot.domain.*,bot.receipts,bot.keyfile]
follow_imports = skip
ignore_missing_imports = True
"""

USE = """
from bot.client import AsyncClient, Client, Handler, Request

client, apart = Client("http://localhost"), AsyncClient("http://localhost")
asked: Request = client.submit(title="Refund", audience=["ana@example.com"], quorum="all", timeout_seconds=60)
client.submit(titel="Refund")  # wrong
client.submit(title=1)  # wrong
client.respond("req_1", "approve", respondent="email:ana@example.com", values={"amount": 3})
client.respond("req_1", "approve", respondant="email:ana@example.com")  # wrong
client.approve("req_1", reason="fine", revision=1, step=0, phrase="delete", values={})
client.approve("req_1", reson="fine")  # wrong
client.reject("req_1", respondent="rsp_1")
client.reject("req_1", revision="1")  # wrong
client.skip("req_1", reason=None)
client.skip("req_1", why="away")  # wrong
client.choose("req_1", "eu", reason="near")
client.choose("req_1", option="eu")  # wrong
client.respond_to_all(["req_1", {"id": "req_2", "revision": 1}], "approve", reason="fine")
client.respond_to_all(["req_1"], "approve", values={})  # wrong
client.cancel("req_1", reason="done by hand")
client.cancel("req_1", note="done by hand")  # wrong
client.remind("req_1")
client.remind("req_1", respondent="rsp_1")  # wrong
client.revise("req_1", title="Refund less", payload={"amount": 3}, reason="a typo")
client.revise("req_1", audience=["ana@example.com"])  # wrong
client.notify("Deployed", audience=["ana@example.com"])
client.notify("Deployed", to=["ana@example.com"])  # wrong
client.list(10, status="pending", respondent="rsp_1", requester="ana", label=["env:prod"], q="refund")
client.list(status="open")  # wrong
client.list(lable="env:prod")  # wrong
client.pending(limit=3)
client.pending(status="pending")  # wrong
client.delegate("req_1", "rsp_1", to="email:ben@example.com", reason="away")
client.delegate("req_1", "rsp_1", whom="email:ben@example.com")  # wrong
client.escalate("req_1", reason="urgent", respondent="rsp_1")
client.escalate("req_1", level=2)  # wrong
client.withdraw("req_1", respondent="rsp_1")
client.withdraw("req_1", reason="a slip")  # wrong
client.comment("req_1", text="Which order?", respondent="rsp_1")
client.comment("req_1", txt="Which order?")  # wrong
Handler(client=apart, label="env:prod")
Handler(client=apart, status="pending")  # wrong

async def apart_from_others() -> None:
    again: Request = await apart.approve("req_1", reason="fine")
    await apart.approve("req_1", reson="fine")  # wrong
    await apart.list(status="open")  # wrong
    print(again.title)
"""


def test_a_type_checker_knows_every_keyword_of_every_call(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(SETTINGS.format(checkout=CHECKOUT), encoding="utf-8")
    command = (sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "use.py")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = {int(line) for line in re.findall(r"^use\.py:(\d+): error", done.stdout, re.MULTILINE)}
    wrong = {number for number, line in enumerate(USE.splitlines(), 1) if line.endswith("# wrong")}
    assert told == wrong, done.stdout + done.stderr
