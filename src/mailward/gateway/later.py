"""Values that are at hand or still have to be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from inspect import iscoroutine
from typing import Any, TypeAlias, TypeVar, cast

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
Later: TypeAlias = A | Coroutine[Any, Any, A]


async def at_last(part: Later[A]) -> A:
    """Wait for it, unless it is at hand."""
    return cast("A", await part if iscoroutine(part) else part)


async def side_by_side(a: Later[A], b: Later[B], c: Later[C], d: Later[D]) -> tuple[A, B, C, D]:
    """Wait for what is not at hand, all at once. Tasks are made for several only: one costs as much as a look-up that is remembered."""
    parts: list[Any] = [a, b, c, d]
    waiting = [at for at, part in enumerate(parts) if iscoroutine(part)]
    if len(waiting) == 1:
        parts[waiting[0]] = await parts[waiting[0]]
    elif waiting:
        for at, found in zip(waiting, await asyncio.gather(*[parts[at] for at in waiting]), strict=True):
            parts[at] = found
    return cast("tuple[A, B, C, D]", tuple(parts))
