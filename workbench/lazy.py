"""Names that a package offers and imports when they are first used: what needs no torch does not wait for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def offered(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A `__getattr__` for `package` (PEP 562) that takes each name from the module that `homes` puts it in."""
    home_of = {name: home for home, names in homes.items() for name in names}

    def look_up(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it offers {', '.join(sys.modules[package].__all__)}"
            )
        return getattr(import_module(home_of[name]), name)

    return look_up
