"""The code blocks of the README."""

from __future__ import annotations

import re

from tests.support.command import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, section: str = "") -> list[str]:
    """The code of one language, of one section (the text of its heading, of whatever level) or of all."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```$",
        _section(section) if section else README,
        re.DOTALL | re.MULTILINE,
    )
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def _section(heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    [(level, text)] = re.findall(rf"^(##+) {re.escape(heading)}\n(.*)", README, re.DOTALL | re.MULTILINE)
    return re.split(rf"^#{{2,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]
