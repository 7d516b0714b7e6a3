"""What people are called beside each other: where two names look alike, an address tells those people apart."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.domain.model.request import Request, Respondent

_TWINS = str.maketrans(
    dict(
        zip(
            "авекмнорстухіјѕԁɡһӏԛԝυνοραβεζηικμτγχϲϳıɑi01|",
            "abekmhopctyxljsdghlqwuvopabeznlkmtyxcjlaloll",
            strict=True,
        )
    )
)
"""Letters and digits of other scripts, or of this one, that are drawn like a Latin small letter."""


@lru_cache(maxsize=8192)
def skeleton(name: str) -> str:
    """What a quick eye makes of a name: case, spaces, width, accents and look-alike letters make no difference."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    bare = unicodedata.normalize("NFKD", folded).casefold()
    drawn = "".join(c for c in bare if unicodedata.category(c) not in _UNDRAWN)
    return "".join(drawn.translate(_TWINS).split()).replace("rn", "m").replace("vv", "w")


_UNDRAWN = frozenset({"Mn", "Me", "Cf", "Cc"})


def label(request: Request, respondent: Respondent) -> str:
    """What a respondent is called wherever others of the request stand beside them."""
    return label_in(alike(request), respondent)


def labels(request: Request, respondents: Iterable[Respondent]) -> tuple[str, ...]:
    """The same for several, in their order."""
    known = alike(request)
    return tuple([label_in(known, r) for r in respondents])


def label_in(known: frozenset[str], respondent: Respondent) -> str:
    """The same where `alike` is at hand."""
    r = respondent
    return _marked(known, r.name, [m for m in (r.email, r.slack_user_id, r.id) if m])


def _marked(known: frozenset[str], name: str | None, marks: Sequence[str]) -> str:
    """A name, with the first of `marks` where it could be taken for somebody else's; without a name that mark."""
    if not name or name in marks:
        return name or marks[0]
    return f"{name} ({marks[0]})" if "@" in name or skeleton(name) in known else name


def apart(people: Sequence[Mapping[str, str | None]]) -> dict[str, str]:
    """The same for respondents as the API answers them (`id`, `name`, `email`, `slack_user_id`), by id."""
    marks = {str(p["id"]): [m for m in (p["email"], p["slack_user_id"], p["id"]) if m] for p in people}
    names = {str(p["id"]): p["name"] for p in people}
    seats = [(names[i] or found[0], frozenset(found[:-1] or found)) for i, found in marks.items()]
    known = _shared(seats)
    return {i: _marked(known, names[i], found) for i, found in marks.items()}


def requester_label(request: Request, name: str) -> str:
    """What the requester is called beside the respondents; `name` is what they are called alone."""
    if skeleton(name) not in alike(request):
        return name
    marks = sorted(request.requester_keys or filter(None, [request.spec.requester]))
    mark = next((m.rpartition(":")[2] for m in marks), name)
    return name if mark == name else f"{name} ({mark})"


def alike(request: Request) -> frozenset[str]:
    """The skeletons of the names that more than one person of the request goes by, whoever asks included."""
    seats = [(r.label, _identity(r)) for r in request.respondents]
    if request.requester_name:
        seats.append((request.requester_name, request.requester_keys))
    return _shared(seats)


def _shared(seats: Iterable[tuple[str, frozenset[str]]]) -> frozenset[str]:
    people: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for name, keys in seats:
        people[skeleton(name)].append(keys)
    return frozenset(name for name, known in people.items() if len(known) > 1 and not _are_one(known))


def _are_one(people: list[frozenset[str]]) -> bool:
    """Whether all of them are one person in several seats."""
    first, *others = people
    return all(first & other for other in others)


def _identity(respondent: Respondent) -> frozenset[str]:
    keys = respondent.keys
    return frozenset(k for k in keys if not k.startswith("rsp_")) or keys
