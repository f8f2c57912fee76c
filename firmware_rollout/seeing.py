"""What is known of a terminal of a campaign, from what was seen of it: whether it runs a release, whether it is well.

None, or False, where nothing is known: a device's word is no proof.
"""

from functools import lru_cache

from firmware_rollout.releases import is_at_least as compare
from firmware_rollout.snapshot import Standing
from firmware_rollout.states import ActionKind

# A fleet runs a handful of versions.
is_at_least = lru_cache(maxsize=1024)(compare)
_RANK = {"ok": 0, "closed": 0, "degraded": 1, "down": 2}


def runs_target(one: Standing, release: str) -> bool:
    """Whether this terminal is known to run the campaign's release, or a later one."""
    return is_at_least(one.reported, release) is True


def runs_other(one: Standing, release: str) -> bool:
    """Whether it is known to run something else than what it is asked for in a campaign of this release."""
    action = one.action
    if action is not None and action.kind is ActionKind.ROLL_BACK:
        return one.reported is not None and one.reported != action.release
    return is_at_least(one.reported, release) is False


def is_proven(one: Standing, release: str) -> bool:
    """Whether what a terminal on its way was asked for was seen running, in another boot than before."""
    action = one.action
    if action is None:
        return False
    if one.boot is not None and action.boot_before is not None:
        if one.boot == action.boot_before:
            return False
    elif one.heard_at is None or one.heard_at < action.opened_at:
        # Nobody told its boots; then what it runs must have been told since.
        return False
    if action.kind is ActionKind.ROLL_BACK:
        return one.reported == action.release
    return runs_target(one, release)


def is_well(one: Standing) -> bool | None:
    """Whether it is connected and no worse than before its update; None: nobody knows."""
    if not one.online:
        return False
    rank = _RANK.get(one.health)
    return None if rank is None else rank <= _RANK.get(one.memory.health_before or "", 0)


def way_back_attempts(one: Standing) -> int:
    """How often its way back was tried; the attempts of its update don't count."""
    tried = one.action is not None and one.action.kind is ActionKind.ROLL_BACK
    return one.memory.attempts if tried else 0
