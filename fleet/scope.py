"""A scope: a conjunction over the registry's dimensions, such as `carrier=beta & region=84`; the empty one is the whole fleet.

Incidents and rollout campaigns both name terminals so.
"""

from collections.abc import Mapping, Sequence

from fleet.errors import VigieError
from fleet.registry import DIMENSIONS, Terminal

# So many known values are listed in an error; more are counted.
_MOST_LISTED = 40


class ScopeError(VigieError):
    """A scope names a dimension or a value that the registry does not have; `field` is the dimension as it was given."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


def parse_scope(conditions: Sequence[str]) -> dict[str, str]:
    """Read conditions as people write them, `dimension=value` each; raises `ScopeError`."""
    scope: dict[str, str] = {}
    for condition in conditions:
        dimension, equals, value = (part.strip() for part in condition.partition("="))
        if not (dimension and equals and value):
            raise ScopeError(dimension, f"write {dimension or 'a dimension'}=value, for example model=B")
        if scope.setdefault(dimension, value) != value:
            raise ScopeError(dimension, "named twice with different values; a scope is a conjunction, so nothing matches both")
    return scope


def check_scope(scope: Mapping[str, str], terminals: Sequence[Terminal]) -> None:
    """Raise `ScopeError`, listing what is known, where a dimension or a value is not one of the registry's."""
    for dimension, value in scope.items():
        if dimension not in DIMENSIONS:
            raise ScopeError(dimension, f"not a dimension of the registry; known: {', '.join(DIMENSIONS)}")
        known = sorted({getattr(terminal, dimension) for terminal in terminals})
        if value not in known:
            listed = ", ".join(known[:_MOST_LISTED]) + (
                f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
            )
            raise ScopeError(dimension, f"no terminal has {value!r}; known: {listed or 'none, the registry is empty'}")


def in_scope(scope: Mapping[str, str], terminals: Sequence[Terminal]) -> list[Terminal]:
    """The terminals that meet every condition, in their order."""
    return [terminal for terminal in terminals if all(getattr(terminal, dimension) == value for dimension, value in scope.items())]
