"""Whether a device is asked to update now: pure, from one row of what is known of its action."""

import logging
import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from firmware_rollout.ddi.protocol import Asked
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.states import ActionKind, ActionState, CampaignState
from firmware_rollout.windows import Window, ask

log = logging.getLogger(__name__)

# In which of a campaign's states each kind is newly offered. While a campaign is undone, what it brought is offered no more.
_OFFERS: Final = {ActionKind.UPDATE: CampaignState.RUNNING, ActionKind.ROLL_BACK: CampaignState.ROLLING_BACK}
# Who has fetched what it was offered ends it also in a campaign that stands still.
_STANDS_STILL: Final = (CampaignState.PAUSED, CampaignState.HALTED)


@dataclass(frozen=True, slots=True)
class Offer:
    """An action as its device sees it: its campaign, its shop's hours, and whether its release can be had."""

    action_id: int
    state: ActionState
    kind: str
    retrieved: bool
    campaign_state: str
    policy: str
    timezone: str
    opening_hours: str
    served: bool

    def stands(self) -> bool:
        """Whether it is offered at all: a halt or a withdrawn release ends every offer that nobody has fetched."""
        if self.state is not ActionState.OPEN or not self.served:
            return False
        return self.campaign_state == _OFFERS[ActionKind(self.kind)] or (self.retrieved and self.campaign_state in _STANDS_STILL)

    def may_update(self, now: datetime) -> bool:
        """Whether the terminal's window is open; who began in it may end it as long as it lasts."""
        policy = _policy(self.policy)
        if policy is None:
            return False
        window = policy.window
        if window is not None and self.retrieved:
            window = msgspec.structs.replace(window, needed_minutes=0)
        return ask(window, hours=self.opening_hours, timezone=self.timezone, now=now).open

    def window(self) -> Window | None:
        """The window of its campaign, None where there is none."""
        policy = _policy(self.policy)
        return policy.window if policy else Window()


def asked_of(offer: Offer | None, now: datetime, *, attributes: bool) -> Asked:
    """What a device is asked at its poll.

    Out of its window a terminal is offered nothing new, since rauc-hawkbit installs whatever it is offered; one that has fetched
    its update keeps the link, by which alone swupdate knows what it reports on, and is refused the file.
    """
    if offer is None:
        return Asked(attributes=attributes)
    if offer.state is ActionState.CANCELLING:
        return Asked(cancel=offer.action_id, attributes=attributes)
    if not offer.stands():
        return Asked(attributes=attributes)
    may = offer.may_update(now)
    if not may and not offer.retrieved:
        return Asked(attributes=attributes)
    return Asked(deployment=(offer.action_id, _version(offer.action_id, may=may)), attributes=attributes)


def _version(action_id: int, *, may: bool) -> int:
    """A number that changes when the deployment's document does; clients may keep a document while it stays."""
    return zlib.crc32(f"{action_id} {may}".encode()) & 0x7FFFFFFF


@lru_cache(maxsize=64)
def _policy(text: str) -> Policy | None:
    """A campaign's policy; None, and nothing is offered, where it cannot be read."""
    try:
        return read_policy(text)
    except PolicyError as error:
        log.error("a campaign's policy cannot be read, so nothing is offered: %s", error, extra={"action": "offer"})
        return None
