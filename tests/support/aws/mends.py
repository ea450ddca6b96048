"""How moto is corrected, and the guard that a correction still fits the moto it is applied to.

A mend replaces one function, property or table of moto. It names the parameters it expects a function to have and the
internals it leans on; when either is missing the server does not start, so that an upgrade of moto cannot silently undo a mend. The mends
themselves stand in `mends_*.py`, by service, and `test_*.py` proves each.
"""

import functools
import inspect
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Callable

MOTO_VERSION = "5.2.5"


class MendError(Exception):
    """Moto is not the moto that the mends were written for."""


@dataclass(frozen=True)
class Mend:
    owner: Any
    name: str
    parameters: str
    relies_on: tuple[str, ...]
    build: Callable[[Any], Any]

    def apply(self) -> None:
        place = f"{getattr(self.owner, '__module__', '')}.{self.owner.__name__}.{self.name}"
        original = vars(self.owner).get(self.name)
        if original is None:
            raise MendError(f"{place}: not there")
        function = original.fget if isinstance(original, property) else original
        found = ", ".join(inspect.signature(function).parameters) if callable(function) else ""
        if found != self.parameters:
            raise MendError(f"{place}: takes ({found}), expected ({self.parameters})")
        source = inspect.getsource(self.owner if inspect.ismodule(self.owner) else sys.modules[self.owner.__module__])
        for internal in self.relies_on:
            if internal not in source:
                raise MendError(f"{place}: its module no longer contains `{internal}`")
        mended = self.build(function)
        if inspect.isfunction(mended) and mended is not function:
            mended = functools.wraps(function)(mended)
        setattr(self.owner, self.name, mended)


MENDS: list[Mend] = []


def mend(owner: Any, name: str, parameters: str, relies_on: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Registers the decorated function, which gets moto's original and returns what takes its place."""

    def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        MENDS.append(Mend(owner, name, parameters, relies_on, build))
        return build

    return register


def apply_all() -> None:
    """Applies every mend, or raises `MendError` naming the first that does not fit."""
    import mends_attributes  # noqa: F401  (importing registers the mends)
    import mends_balancing  # noqa: F401
    import mends_detector  # noqa: F401
    import mends_ec2  # noqa: F401
    import mends_identity  # noqa: F401
    import mends_network  # noqa: F401
    import mends_s3  # noqa: F401
    import mends_scaling  # noqa: F401
    import mends_sns  # noqa: F401
    import mends_trail  # noqa: F401
    import mends_waf  # noqa: F401

    installed = version("moto")
    if installed != MOTO_VERSION:
        raise MendError(f"moto is {installed}, the mends were written for {MOTO_VERSION}")
    for each in MENDS:
        each.apply()
