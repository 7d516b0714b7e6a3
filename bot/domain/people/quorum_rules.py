"""What a quorum rule can say.

A rule is a number of approvals, `"all"`, `"majority"`, or a tree:

    {"all_of": [{"from": "group:security", "approvals": 1},
                {"any_of": [{"from": "group:ops", "approvals": 2}, {"from": "email:cto@example.com"}]}]}

A leaf counts the people whom its selector seated (`approvals`: a number, `"all"` or `"majority"`; 1 where it is left
out), and fails for good once `rejections` of them have rejected. One person fills one place in a tree, even where
they belong to two of its groups; with `"distinct": false` at its root they count in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Fault
from bot.domain.model.digest import escape_pointer
from bot.domain.people.audience import parse_selector

if TYPE_CHECKING:
    from bot.domain.model.spec import QuorumRule

MAX_DEPTH = 5
MAX_WAYS = 64
"""Most alternatives of a tree: ways in which it can be met."""
MAX_LEAVES = 20
"""Most groups that a tree counts from."""


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """So many approvals from one group of people (`source`: everybody). `rejections` of theirs make it fail."""

    source: str | None
    approvals: int | str = 1
    rejections: int | None = None


def ways_to_meet(rule: QuorumRule) -> list[tuple[Leaf, ...]]:
    """The alternatives of a rule: it is met where all leaves of one of them are."""
    if not isinstance(rule, dict):
        return [(Leaf(source=None, approvals=rule),)]
    if "all_of" in rule:
        parts = [ways_to_meet(part) for part in rule["all_of"]]
        return [tuple(leaf for way in combined for leaf in way) for combined in product(*parts)]
    if "any_of" in rule:
        return [way for part in rule["any_of"] for way in ways_to_meet(part)]
    return [
        (
            Leaf(
                source=parse_selector(rule["from"]).text,
                approvals=rule.get("approvals", 1),
                rejections=rule.get("rejections"),
            ),
        )
    ]


def sources(rule: QuorumRule) -> frozenset[str]:
    """The selectors that a tree counts from, as `parse_selector` writes them."""
    return frozenset(leaf.source for way in ways_to_meet(rule) for leaf in way if leaf.source)


def rule_faults(rule: QuorumRule, pointer: str) -> list[Fault]:
    """What is wrong with the shape of a rule, each fault with its place under `pointer`."""
    if not isinstance(rule, dict):
        return []
    if _leaves(rule, 0) > MAX_LEAVES:
        return [
            Fault(pointer, f"counts from more than {MAX_LEAVES} groups, which nobody can follow; simplify it")
        ]
    faults = _node_faults(rule, pointer, 0)
    if not faults and _alternatives(rule) > MAX_WAYS:
        faults.append(
            Fault(pointer, f"can be met in more than {MAX_WAYS} ways, which nobody can follow; simplify it")
        )
    return faults


def _leaves(node: Any, depth: int) -> int:
    """How many leaves a tree has, of whatever shape; no deeper than one may be."""
    if not isinstance(node, Mapping) or depth > MAX_DEPTH:
        return 1
    parts = [part for name in ("all_of", "any_of") if isinstance(node.get(name), list) for part in node[name]]
    return sum(_leaves(part, depth + 1) for part in parts) or 1


def _node_faults(node: Any, pointer: str, depth: int) -> list[Fault]:
    if (
        not isinstance(node, Mapping)
        or len(node.keys() & {"all_of", "any_of", "from"}) != 1
        or depth > MAX_DEPTH
    ):
        return [
            Fault(pointer, 'must be {"all_of": […]}, {"any_of": […]} or {"from": SELECTOR, "approvals": N}')
        ]
    joint = next((name for name in ("all_of", "any_of") if name in node), None)
    allowed = {joint or "from"} | ({"distinct"} if depth == 0 else set())
    allowed |= set() if joint else {"approvals", "rejections"}
    faults = [
        Fault(f"{pointer}/{escape_pointer(str(name))}", "does not belong here; leave it out")
        for name in node
        if name not in allowed
    ]
    if not isinstance(node.get("distinct", True), bool):
        faults.append(Fault(f"{pointer}/distinct", "must be true or false"))
    if joint:
        parts = node[joint]
        if not isinstance(parts, list) or not parts:
            return [*faults, Fault(f"{pointer}/{joint}", "must be a list of at least one rule")]
        for index, part in enumerate(parts):
            faults += _node_faults(part, f"{pointer}/{joint}/{index}", depth + 1)
        return faults
    return faults + _leaf_faults(node, pointer)


def _leaf_faults(leaf: Mapping[str, Any], pointer: str) -> list[Fault]:
    faults = []
    try:
        parse_selector(str(leaf["from"]))
    except ValueError as error:
        faults.append(Fault(f"{pointer}/from", str(error)))
    approvals = leaf.get("approvals", 1)
    if approvals not in ("all", "majority") and not _count_of(approvals):
        faults.append(Fault(f"{pointer}/approvals", "must be a number from 1 to 1000, `all` or `majority`"))
    if leaf.get("rejections") is not None and not _count_of(leaf["rejections"]):
        faults.append(Fault(f"{pointer}/rejections", "must be a number from 1 to 1000"))
    return faults


def _count_of(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000


def _alternatives(rule: QuorumRule) -> int:
    """How many ways there are, without writing them down."""
    if isinstance(rule, dict) and "all_of" in rule:
        return prod(_alternatives(part) for part in rule["all_of"])
    if isinstance(rule, dict) and "any_of" in rule:
        return sum(_alternatives(part) for part in rule["any_of"])
    return 1
