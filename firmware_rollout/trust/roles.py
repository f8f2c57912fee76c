"""The rules of the roles: how many keys, how many of them must sign, and for how long what they signed is good."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class RoleRule:
    """What is asked of a role's keys."""

    keys: int
    threshold: int
    life: timedelta
    """How long what the role signed is good."""
    longest: int
    """How many bytes at most its metadata has; devices give up beyond."""
    online: bool
    """Whether Vigie holds the key, or the maker does."""


ROLES: Final[Mapping[str, RoleRule]] = {
    # Two of three: a stolen key is not enough, a lost one not too many.
    "root": RoleRule(3, 2, timedelta(days=2 * 365), 64_000, online=False),
    # One release's facts take about 600 bytes.
    "targets": RoleRule(3, 2, timedelta(days=365), 1_000_000, online=False),
    "snapshot": RoleRule(1, 1, timedelta(days=7), 64_000, online=True),
    # Whoever keeps newer releases from a terminal can do so for a day; from then on it installs nothing at all.
    "timestamp": RoleRule(1, 1, timedelta(days=1), 16_000, online=True),
}
# Of any role.
LARGEST_METADATA_BYTES: Final = max(rule.longest for rule in ROLES.values())
# Of a firmware file, as it is uploaded.
LARGEST_FILE_BYTES: Final = 1 << 30
