"""Groups of people: from the configuration, from the store (set over the API), or computed for each request.

A configured group is a list of selectors, or `"module:function"`: a function of one `Asker`, plain or async, that gives
the selectors, such as the manager of whoever asks. It is called when a request is submitted; what it raises refuses
the request, so that a broken directory never means that somebody else may decide.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.approvals.audience.ttl_cache import Recent
from bot.domain.errors import Fault, Invalid, NotFound
from bot.domain.people.audience import parse_selector

if TYPE_CHECKING:
    from bot.ports.store import Registry
    from bot.ports.system import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """What a computed group knows of the request: who asks, and its labels."""

    requester: str | None = None
    labels: Mapping[str, str]


Computed = Callable[[Asker], Iterable[str] | Awaitable[Iterable[str]]]


def computed(name: str, reference: str) -> Computed:
    """The function behind `module:function`; raises `ValueError`, in words, where there is none."""
    module, _, function = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"group {name}: {reference!r} cannot be imported: {error}") from None
    if not callable(found):
        raise ValueError(f"group {name}: {reference!r} is no function")  # noqa: TRY004 - a fault of the settings
    result: Computed = found
    return result


class Groups:
    """Every group there is. The configuration's names cannot be set over the API."""

    def __init__(
        self, configured: Mapping[str, Sequence[str] | str], registry: Registry, clock: Clock
    ) -> None:
        self._fixed = {name: tuple(m) for name, m in configured.items() if not isinstance(m, str)}
        self._computed = {name: computed(name, m) for name, m in configured.items() if isinstance(m, str)}
        self._registry = registry
        self._clock = clock
        self._stored = Recent(registry.groups)

    async def known(self, asker: Asker) -> Mapping[str, Sequence[str]]:
        """The selectors of every group, for this request."""
        found: dict[str, Sequence[str]] = {**await self._stored.value(), **self._fixed}
        for name, function in self._computed.items():
            found[name] = await _members(name, function, asker)
        return found

    async def every(self) -> Mapping[str, Sequence[str] | None]:
        """The members of every group by name; None where they are computed for each request."""
        return {**await self._stored.value(), **self._fixed, **dict.fromkeys(self._computed)}

    async def put(self, name: str, members: Sequence[str]) -> None:
        """Set a group's members; raises `Invalid`."""
        self._check(name)
        faults = []
        for index, text in enumerate(members):
            try:
                member = parse_selector(text)
            except ValueError as error:
                faults.append(Fault(f"/members/{index}", str(error)))
            else:
                if member.text == f"group:{name}":
                    faults.append(Fault(f"/members/{index}", "is the group itself; name who is in it"))
        if faults:
            raise Invalid(faults)
        await self._registry.put_group(name, members, self._clock.now())
        self._stored.forget()

    async def delete(self, name: str) -> None:
        """Forget a group; raises `NotFound`."""
        self._check(name)
        if not await self._registry.delete_group(name):
            raise NotFound(f"There is no group {name[:80]!r}.")
        self._stored.forget()

    def _check(self, name: str) -> None:
        try:
            parse_selector(f"group:{name}")
        except ValueError:
            raise Invalid(
                [Fault("/name", "must be letters, digits, `_`, `.` and `-`, at most 100")]
            ) from None
        if name in self._fixed or name in self._computed:
            raise Invalid([Fault("/name", f"group:{name} is set in the configuration file; change it there")])


async def _members(name: str, function: Computed, asker: Asker) -> tuple[str, ...]:
    try:
        result = function(asker)
        members = tuple(await result if inspect.isawaitable(result) else result)
        for text in members:
            parse_selector(text)
    except Exception as error:
        raise Invalid([Fault("/audience", f"group:{name} cannot be computed: {error}")]) from error
    return members
