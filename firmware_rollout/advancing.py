"""Decides about a campaign as a whole: begin, open the next wave, halt, finish; rows and `now` in, a decision with its inputs out.

A wave opens only because the gate said so in its newest reading, and only a gate that could read says so; or because a person
answers for it where the gate is not sure. Whatever cannot be read, or was withdrawn, halts.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from firmware_rollout.gate.judging import Verdict
from firmware_rollout.planning import CampaignNow, is_tried_again, may_roll_back
from firmware_rollout.seeing import runs_target
from firmware_rollout.snapshot import Standing
from firmware_rollout.states import SETTLED, CampaignState, State


class Because(StrEnum):
    """Why a campaign moves."""

    FIRST_WAVE_DUE = "first_wave_due"
    WAVE_PASSED = "wave_passed"
    LET_PASS = "let_pass"
    GATE_HALTS = "gate_halts"
    GATE_UNDECIDED = "gate_undecided"
    UPDATES_FAIL = "updates_fail"
    RELEASE_WITHDRAWN = "release_withdrawn"
    ALL_SETTLED = "all_settled"
    ALL_BACK = "all_back"


# The release does harm, or its maker takes it back: a halt for one of these also asks those to stop that have fetched it.
HARMS: Final = frozenset({Because.GATE_HALTS, Because.UPDATES_FAIL, Because.RELEASE_WITHDRAWN})


# What is to begin or may be resumed must not look as if it did, with a release that cannot be had any more.
_MAY_GO_ON: Final = (CampaignState.APPROVED, CampaignState.RUNNING, CampaignState.PAUSED)


class WaveNow(NamedTuple):
    """A wave; `opened_at` None: it has not begun."""

    number: int
    planned_at: datetime
    share_pct: float
    opened_at: datetime | None


class ReadingNow(NamedTuple):
    """The gate's newest reading: of which wave, when the period ended that it judged, and what it found, in words.

    `worse`: updated shops were found to do worse; a halt without that is one for want of evidence.
    """

    id: int
    wave: int
    at: datetime
    verdict: Verdict
    finding: str
    worse: bool


class Advance(NamedTuple):
    """A move of a campaign; `opens` is the wave that begins, `inputs` what it was decided from."""

    before: CampaignState
    after: CampaignState
    because: Because
    finding: str
    opens: int | None
    inputs: Mapping[str, Any]


class Failures(NamedTuple):
    """Of the terminals whose update came to an end: how many failed, and how many did not."""

    failed: int
    updated: int


def advance(
    campaign: CampaignNow,
    waves: Sequence[WaveNow],
    standings: Sequence[Standing],
    reading: ReadingNow | None,
    *,
    since: datetime,
    withdrawn: str | None,
    overruled: int,
    now: datetime,
    let_pass: int = 0,
    forgiven_at: datetime | None = None,
) -> Advance | None:
    """The campaign's own next move, None: it stays.

    `since`: since when it is in its state; `withdrawn`: why its release was; `overruled`: the newest reading that a person let it
    go on against; `let_pass`: the wave that one let pass although the gate was not sure; `forgiven_at`: when one let it go on
    after a halt: updates that had failed by then halt no more.
    """
    if withdrawn is not None and campaign.state in _MAY_GO_ON:
        finding = f"the release was withdrawn: {withdrawn}"
        return _move(campaign, CampaignState.HALTED, Because.RELEASE_WITHDRAWN, finding, inputs={"withdrawn": withdrawn})
    if campaign.state is CampaignState.APPROVED:
        return _begins(campaign, waves[0], now)
    if campaign.state is CampaignState.ROLLING_BACK:
        return _rolled_back(campaign, standings, since, now)
    if campaign.state is CampaignState.PAUSED:
        # Its updated terminals live on, and who resumes it has to know what they showed.
        return _halted(campaign, reading, overruled)
    if campaign.state is not CampaignState.RUNNING:
        return None
    return (
        _failing(campaign, standings, forgiven_at)
        or _halted(campaign, reading, overruled)
        or _onwards(campaign, waves, standings, reading, now, let_pass=let_pass)
    )


def count_failures(standings: Iterable[Standing], since: datetime | None) -> Failures:
    """How updates came out since then (None: ever); what was never begun is no failure."""
    ended = [one for one in standings if one.memory.attempts and (since is None or one.since > since)]
    bad = (State.PLANNED, State.FAILED, State.ROLLED_BACK)
    return Failures(sum(one.state in bad for one in ended), sum(one.state in (State.SOAKING, State.DONE) for one in ended))


def _failing(campaign: CampaignNow, standings: Sequence[Standing], forgiven_at: datetime | None) -> Advance | None:
    """Over the whole campaign, and in its newest wave: what went well in thousands before does not hide that nothing does now."""
    newest = (one for one in standings if one.wave == campaign.open_wave)
    for among, words in ((standings, "updates failed"), (newest, f"updates of wave {campaign.open_wave} failed")):
        found, policy = count_failures(among, forgiven_at), campaign.policy
        share = 100 * found.failed / max(found.failed + found.updated, 1)
        if found.failed >= policy.halt_failed_least and share > policy.halt_failed_pct:
            finding = f"{found.failed:,} of {found.failed + found.updated:,} {words} ({share:.0f} %)"
            return _move(campaign, CampaignState.HALTED, Because.UPDATES_FAIL, finding, inputs=found._asdict())
    return None


def _halted(campaign: CampaignNow, reading: ReadingNow | None, overruled: int) -> Advance | None:
    if reading is None or reading.verdict is not Verdict.HALT or reading.id <= overruled:
        return None
    inputs = {"reading": reading.id, "wave": reading.wave}
    because = Because.GATE_HALTS if reading.worse else Because.GATE_UNDECIDED
    return _move(campaign, CampaignState.HALTED, because, reading.finding, inputs=inputs)


def _begins(campaign: CampaignNow, wave: WaveNow, now: datetime) -> Advance | None:
    if wave.planned_at > now:
        return None
    inputs = {"planned_at": wave.planned_at}
    return _move(campaign, CampaignState.RUNNING, Because.FIRST_WAVE_DUE, opens=wave.number, inputs=inputs)


def _onwards(
    campaign: CampaignNow,
    waves: Sequence[WaveNow],
    standings: Sequence[Standing],
    reading: ReadingNow | None,
    now: datetime,
    *,
    let_pass: int,
) -> Advance | None:
    following = next((wave for wave in waves if wave.opened_at is None), None)
    if following is not None and campaign.open_wave == 0:
        # As campaigns ran before they were gated: begun, with no wave that is known to be.
        return _begins(campaign, following, now)
    if following is None:
        # Who was promised another attempt is waited for, as long as anybody is.
        settled = all(one.state in SETTLED and not is_tried_again(campaign, one, now) for one in standings)
        inputs = {"terminals": len(standings)}
        return _move(campaign, CampaignState.FINISHED, Because.ALL_SETTLED, inputs=inputs) if settled else None
    if let_pass == campaign.open_wave and following.planned_at <= now:
        words = f"a person let wave {let_pass} pass"
        return _move(campaign, CampaignState.RUNNING, Because.LET_PASS, words, opens=following.number, inputs={"wave": let_pass})
    if reading is None or reading.verdict is not Verdict.PROMOTE or reading.wave != campaign.open_wave:
        return None
    # A newer period is due to be judged by then: an older word opens nothing, whenever it was given.
    stale = now - reading.at >= campaign.policy.period + campaign.policy.settle
    if stale or following.planned_at > now:
        return None
    inputs = {"reading": reading.id, "wave": reading.wave}
    return _move(campaign, CampaignState.RUNNING, Because.WAVE_PASSED, reading.finding, opens=following.number, inputs=inputs)


def _rolled_back(campaign: CampaignNow, standings: Sequence[Standing], since: datetime, now: datetime) -> Advance | None:
    """The way back ends when nobody is on it or still to go; those who stay away are not waited for without end."""
    left = sum(may_roll_back(campaign, one) for one in standings)
    run_it = [one for one in standings if runs_target(one, campaign.release)]
    # Tried, and not heard of since: they may come up with it.
    away = sum(one.state is State.FAILED and one.memory.attempts > 0 and not one.online for one in standings)
    away -= sum(one.state is State.FAILED and one.memory.attempts > 0 and not one.online for one in run_it)
    on_their_way = sum(one.state in (State.UPDATING, State.PLANNED) for one in standings)
    given_up = now - since >= campaign.policy.give_up
    if on_their_way or ((left or away) and not given_up):
        return None
    back = sum(one.state is State.ROLLED_BACK for one in standings) - sum(one.state is State.ROLLED_BACK for one in run_it)
    # Nobody has to bring back what the campaign did not bring.
    had_it = sum(one.memory.firmware_before is None and not one.way_back for one in run_it)
    stranded = sum(not one.way_back for one in run_it) - had_it
    in_vain = len(run_it) - left - stranded - had_it
    inputs = {"rolled_back": back, "had_it": had_it, "left": left, "away": away, "in_vain": in_vain, "stranded": stranded}
    words = f"{back:,} terminals are back"
    words += f", {had_it:,} ran it before the campaign and stay" if had_it else ""
    words += f", {left:,} were not reached" if left else ""
    words += f", {away:,} are away since they were asked to update" if away else ""
    words += f", {in_vain:,} run it after every attempt to bring them back" if in_vain else ""
    words += f", {stranded:,} have no way back: what they ran before is no release with a file" if stranded else ""
    return _move(campaign, CampaignState.ROLLED_BACK, Because.ALL_BACK, words, inputs=inputs)


def _move(
    campaign: CampaignNow,
    after: CampaignState,
    because: Because,
    finding: str = "",
    *,
    opens: int | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Advance:
    return Advance(campaign.state, after, because, finding, opens, inputs or {})
