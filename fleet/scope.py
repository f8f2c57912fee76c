"""A scope: a conjunction over the registry's dimensions, such as `carrier=beta & region=84`; the empty one is the whole fleet.

Incidents and rollout campaigns both name terminals so. A campaign may give a dimension several values, of which a terminal has one:
`model=B & hw=2 or 3`.
"""

from collections.abc import Mapping, Sequence

from fleet.errors import FieldError
from fleet.registry import DIMENSIONS, Terminal

# A dimension's one value, or several, of which one is enough.
Values = str | Sequence[str]

# So many known values are listed in an error; more are counted.
_MOST_LISTED = 40


class ScopeError(FieldError):
    """A scope names a dimension or a value that the registry does not have; `field` is the dimension as it was given."""


def parse_scope(conditions: Sequence[str]) -> dict[str, str]:
    """Read conditions as people write them, `dimension=value` each; raises `ScopeError`."""
    target = parse_target(conditions)
    for dimension, values in target.items():
        if len(values) > 1:
            raise ScopeError(dimension, "named twice with different values; a scope is a conjunction, so nothing matches both")
    return {dimension: values[0] for dimension, values in target.items()}


def parse_target(conditions: Sequence[str]) -> dict[str, list[str]]:
    """The same where a dimension may be named several times: then each of its values will do; raises `ScopeError`."""
    target: dict[str, list[str]] = {}
    for condition in conditions:
        dimension, equals, value = (part.strip() for part in condition.partition("="))
        if not (dimension and equals and value):
            raise ScopeError(dimension, "write %(dimension)s=value, for example model=B", dimension=dimension or "a dimension")
        values = target.setdefault(dimension, [])
        if value not in values:
            values.append(value)
    return target


def either(values: Values) -> list[str]:
    """A dimension's values, each once, in their order."""
    return [values] if isinstance(values, str) else list(dict.fromkeys(values))


def check_scope(scope: Mapping[str, Values], terminals: Sequence[Terminal]) -> None:
    """Raise `ScopeError`, listing what is known, where a dimension or a value is not one of the registry's."""
    for dimension, values in scope.items():
        if dimension not in DIMENSIONS:
            raise ScopeError(dimension, "not a dimension of the registry; known: %(known)s", known=DIMENSIONS)
        known = sorted({getattr(terminal, dimension) for terminal in terminals})
        if not either(values):
            raise ScopeError(dimension, "name a value, or leave the dimension out")
        if unknown := [value for value in either(values) if value not in known]:
            if not known:
                raise ScopeError(dimension, "no terminal has '%(value)s': the registry is empty", value=unknown[0])
            if (more := len(known) - _MOST_LISTED) > 0:
                raise ScopeError(
                    dimension,
                    "no terminal has '%(value)s'; known: %(known)s and %(more)s more",
                    value=unknown[0],
                    known=known[:_MOST_LISTED],
                    more=more,
                )
            raise ScopeError(dimension, "no terminal has '%(value)s'; known: %(known)s", value=unknown[0], known=known)


def in_scope(scope: Mapping[str, Values], terminals: Sequence[Terminal]) -> list[Terminal]:
    """The terminals that meet every condition, in their order."""
    wanted = [(dimension, frozenset(either(values))) for dimension, values in scope.items()]
    return [terminal for terminal in terminals if all(getattr(terminal, dimension) in values for dimension, values in wanted)]
