"""What a campaign's page shows, read in one go; how it looks is the templates' business."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from firmware_rollout.advancing import Because
from firmware_rollout.attempts import Member, WaveAttempts, attempts_by_wave, members_after
from firmware_rollout.audit import PLANNER, ROUTINE, Entry, entries_of
from firmware_rollout.campaigns import Campaign, CampaignError, WaveProgress, list_campaigns, progress
from firmware_rollout.deeds import Deed, possible_now
from firmware_rollout.gate.judging import Reason, Why
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.gate_story import Story, story_of
from firmware_rollout.passing import few_shops
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.states import SETTLED, CampaignState, State
from fleet.database import Connection
from hotline.accounts import agents

FAILED_SHOWN: Final = 20
COURSE_SHOWN: Final = 40
# A campaign in one of these goes on, or may.
_OVER: Final = (CampaignState.FINISHED, CampaignState.ABORTED, CampaignState.ROLLED_BACK)
_BY_THE_GATE: Final = (Because.GATE_HALTS, Because.GATE_UNDECIDED)
_TO_BEGIN: Final = (CampaignState.DRAFT, CampaignState.APPROVED)
NOBODY: Final = WaveAttempts(0, 0, 0, 0)


class WaveView(NamedTuple):
    """A wave with what became of its terminals."""

    wave: WaveProgress
    attempts: WaveAttempts

    @property
    def terminals(self) -> int:
        """How many are in it."""
        return sum(self.wave.states.values())

    def count(self, *states: str) -> int:
        """How many are in one of these states."""
        return sum(self.wave.states.get(State(state), 0) for state in states)

    @property
    def settled(self) -> int:
        """How many nothing more is expected of."""
        return sum(count for state, count in self.wave.states.items() if state in SETTLED)


class Step(NamedTuple):
    """A step of a campaign's course, its details read."""

    entry: Entry
    details: Mapping[str, Any]

    @property
    def automatic(self) -> bool:
        """Whether nobody did it."""
        return self.entry.actor == PLANNER

    @property
    def why(self) -> str:
        """What a person gave as the reason; the planner's reasons are counts."""
        given = self.details.get("why")
        return given if isinstance(given, str) else ""


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """All that one campaign's page shows; `policy` is None where it cannot be read."""

    campaign: Campaign
    policy: Policy | None
    waves: Sequence[WaveView]
    deeds: Sequence[Deed]
    course: Sequence[Step]
    failed: Sequence[Member]
    story: Story | None
    # How many shops it aims at, where so few say little.
    few_shops: int | None
    # People's names by login.
    names: Mapping[str, str]

    @property
    def terminals(self) -> int:
        """How many it has drawn in."""
        return sum(self.campaign.states.values())

    def count(self, *states: str) -> int:
        """How many of its terminals are in one of these states."""
        return sum(self.campaign.states.get(State(state), 0) for state in states)

    @property
    def over(self) -> bool:
        """Whether nothing more becomes of it by itself."""
        return self.campaign.state in _OVER

    @property
    def halted_for(self) -> Sequence[Reason]:
        """Where the gate halted it: what it found."""
        gate = self.course and self.course[0].entry.deed in _BY_THE_GATE and self.campaign.state is CampaignState.HALTED
        return self.story.newest.reasons if gate and self.story is not None else ()

    @property
    def does_harm(self) -> bool:
        """Whether the gate halted it for proven harm, not for want of evidence."""
        return any(reason.why is Why.WORSE for reason in self.halted_for)


def campaign_by_id(conn: Connection, campaign_id: int) -> Campaign:
    """One campaign; `CampaignError` where there is none."""
    for one in list_campaigns(conn):
        if one.id == campaign_id:
            return one
    raise CampaignError("campaign", f"no campaign {campaign_id}")


def read_campaign_page(conn: Connection, campaign_id: int) -> CampaignPage:
    """Read all that the page shows; `CampaignError` where there is no such campaign."""
    found = campaign_by_id(conn, campaign_id)
    attempts = attempts_by_wave(conn, found.id)
    course = entries_of(conn, found.id, without=ROUTINE, limit=COURSE_SHOWN)
    return CampaignPage(
        campaign=found,
        policy=readable_policy(found),
        waves=[WaveView(wave, attempts.get(wave.number, NOBODY)) for wave in progress(conn, found.id)],
        deeds=possible_now(conn, found),
        course=[Step(entry, json.loads(entry.details)) for entry in course],
        failed=members_after(conn, found.id, states=[State.FAILED], limit=FAILED_SHOWN),
        story=story_of(conn, found.id),
        few_shops=few_shops(conn, found.id) if found.state in _TO_BEGIN else None,
        names={agent.login: agent.name for agent in agents(conn)},
    )


def readable_policy(campaign: Campaign) -> Policy | None:
    """The campaign's policy; None where it cannot be read, which halts it."""
    try:
        return read_policy(campaign.policy)
    except PolicyError:
        return None
