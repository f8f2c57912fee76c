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
from firmware_rollout.gate.judging import Reason
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.gate_story import Story, story_of
from firmware_rollout.harm import Harm, harms
from firmware_rollout.passing import few_shops, let_pass_by
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.states import SETTLED, CampaignState, State
from firmware_rollout.way_back import WayBack, way_back
from fleet.database import Connection
from hotline.accounts import agents

FAILED_SHOWN: Final = 20
COURSE_SHOWN: Final = 40
# A campaign in one of these goes on, or may.
_OVER: Final = (CampaignState.FINISHED, CampaignState.ABORTED, CampaignState.ROLLED_BACK)
_TO_BEGIN: Final = (CampaignState.DRAFT, CampaignState.APPROVED)
NOBODY: Final = WaveAttempts(0, 0, 0, 0)


class WaveView(NamedTuple):
    """A wave with what became of its terminals, and who let the campaign past it."""

    wave: WaveProgress
    attempts: WaveAttempts
    # Who let it pass; empty where the gate did, or nobody yet.
    let_pass_by: str = ""

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
    # What the gate found, as long as nobody has gone on against it.
    harm: Harm | None
    # What the campaigns of its release found, where it has still to begin.
    release_harms: Sequence[Harm]
    # What a roll-back would do; None where there is none to do.
    way_back: WayBack | None
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
        """What the gate found when it halted the campaign; harm is told for as long as it stands, also when it has been undone."""
        if self.does_harm and self.harm is not None:
            return self.harm.reasons
        undecided = self.course and self.course[0].entry.deed == Because.GATE_UNDECIDED
        halted = undecided and self.campaign.state is CampaignState.HALTED
        return self.story.newest.reasons if halted and self.story is not None else ()

    @property
    def does_harm(self) -> bool:
        """Whether the gate found harm and the campaign does not go on, not whether it wanted evidence."""
        return self.harm is not None and self.campaign.state is not CampaignState.RUNNING

    @property
    def unwanted(self) -> bool:
        """Whether to run its release is no success any more."""
        return is_unwanted(self.campaign, harmful=self.does_harm)


def is_unwanted(campaign: Campaign, *, harmful: bool) -> bool:
    """Whether to run a campaign's release is no success: the gate found that it does harm, or the campaign is undone."""
    return harmful or campaign.state in (CampaignState.ROLLING_BACK, CampaignState.ROLLED_BACK)


def campaign_by_id(conn: Connection, campaign_id: int) -> Campaign:
    """One campaign; `CampaignError` where there is none."""
    for one in list_campaigns(conn):
        if one.id == campaign_id:
            return one
    raise CampaignError("campaign", "no campaign %(id)s", id=campaign_id)


def read_campaign_page(conn: Connection, campaign_id: int) -> CampaignPage:
    """Read all that the page shows; `CampaignError` where there is no such campaign."""
    found = campaign_by_id(conn, campaign_id)
    attempts = attempts_by_wave(conn, found.id)
    course = entries_of(conn, found.id, without=ROUTINE, limit=COURSE_SHOWN)
    deeds = possible_now(conn, found)
    let_pass = let_pass_by(conn, found.id)
    found_harms = harms(conn, release=found.release)
    return CampaignPage(
        campaign=found,
        policy=readable_policy(found),
        waves=[
            WaveView(wave, attempts.get(wave.number, NOBODY), let_pass.get(wave.number, "")) for wave in progress(conn, found.id)
        ],
        deeds=deeds,
        course=[Step(entry, json.loads(entry.details)) for entry in course],
        failed=members_after(conn, found.id, states=[State.FAILED], limit=FAILED_SHOWN),
        story=story_of(conn, found.id),
        harm=next((one for one in found_harms if one.campaign_id == found.id), None),
        release_harms=found_harms if found.state in _TO_BEGIN else [],
        way_back=way_back(conn, found.id, found.release) if Deed.ROLL_BACK in deeds else None,
        few_shops=few_shops(conn, found.id) if found.state in _TO_BEGIN else None,
        names={agent.login: agent.name for agent in agents(conn)},
    )


def readable_policy(campaign: Campaign) -> Policy | None:
    """The campaign's policy; None where it cannot be read, which halts it."""
    try:
        return read_policy(campaign.policy)
    except PolicyError:
        return None
