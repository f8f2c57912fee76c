"""The gate of a live campaign: its runs, and a reading at the end of each period, stored with all that it was made from.

A run keeps, as bits of shops, what was marked in each period. The gate is rebuilt from them before each reading, so that a
restart forgets nothing and `replay` can judge a whole run again, bit for bit, when the samples themselves are long forgotten.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from firmware_rollout.advancing import ReadingNow, WaveNow
from firmware_rollout.audit import PLANNER, note
from firmware_rollout.gate.gate import Gate
from firmware_rollout.gate.judging import Reading, Reason, Situation, Why
from firmware_rollout.gate.past import PAST_DAYS, own_limits, strata_of
from firmware_rollout.gate.policy import GatePolicy, Metric
from firmware_rollout.gate_counts import BY_INGEST, Counts, count, measurable
from firmware_rollout.policy import Policy
from firmware_rollout.states import State
from fleet.database import Connection

Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]

# A wave begins just after a reading, which comes just after a period's end; that period's rest is no day lost.
_NEARLY: Final = 0.1


class Run(NamedTuple):
    """A run of a campaign's gate; arrays (shops,) in the order of `shops`."""

    id: int
    campaign_id: int
    began_at: datetime
    period: timedelta
    shops: list[str]
    waves: I64
    strata: dict[Metric, I64]
    limits: dict[Metric, I64]


class Replayed(NamedTuple):
    """What judging a run again came to: how many readings, and the first that does not come out the same (None: all do)."""

    readings: int
    differs: int | None


def begin_run(conn: Connection, campaign_id: int, policy: Policy, *, now: datetime) -> None:
    """Begin a run now, from what the shops' past says; it judges from here on."""
    rows = conn.execute(
        "SELECT t.point_of_sale, min(a.wave), string_agg(DISTINCT t.model, '+') FROM firmware_rollout.assignment a"
        " JOIN fleet.terminal t ON t.id = a.terminal_id WHERE a.campaign_id = %(id)s AND a.drawn GROUP BY 1 ORDER BY 1",
        {"id": campaign_id},
    ).fetchall()
    shops = [row[0] for row in rows]
    row = conn.execute(
        "INSERT INTO firmware_rollout.gate_run (campaign_id, began_at, period_s, shops, waves)"
        " VALUES (%(id)s, %(now)s, %(period)s, %(shops)s, %(waves)s) RETURNING id",
        {
            "id": campaign_id,
            "now": now,
            "period": policy.period.total_seconds(),
            "shops": shops,
            "waves": [row[1] for row in rows],
        },
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    past = _past(conn, shops, policy, now)
    strata, limits = _strata(past, [row[2] for row in rows]), _limits(past, policy.gate, len(shops))
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO firmware_rollout.gate_past (run_id, metric, strata, limits) VALUES (%s, %s, %s, %s)",
            [(row[0], metric.value, _bytes(strata[metric]), _bytes(limits[metric])) for metric in Metric],
        )


def newest_run(conn: Connection, campaign_id: int) -> Run | None:
    """The run that judges this campaign; None before its first wave."""
    return next(_runs(conn, campaign_id, "ORDER BY id DESC LIMIT 1"), None)


def judge_due(conn: Connection, run: Run, policy: Policy, waves: list[WaveNow], *, now: datetime) -> Reading | None:
    """Judge the oldest period that is over and was not judged, and store it; None: there is none, or its data are still to come."""
    period = _judged(conn, run) + 1
    start = run.began_at + (period - 1) * run.period
    end = start + run.period
    settled = end + policy.settle
    if now < settled:
        return None
    can = measurable(conn, start=start, end=end)
    # Data that are late are waited for; but whoever waits for ever never halts.
    if not can >= BY_INGEST and now < settled + run.period:
        return None
    counts = count(conn, run.shops, start=start, end=end, pace=policy.pace)
    marks = {
        one.metric: _mark(counts.of[one.metric], run.limits[one.metric] if one.surge else None)
        for one in policy.gate.metrics
        if one.metric in can
    }
    gate, begun = _rebuilt(conn, run, policy.gate)
    situation = _situation(conn, run, waves, end=end)
    _begin_waves(gate, run, begun, situation.wave)
    reading = gate.close(marks, situation)
    _store(conn, run, period, marks, reading, now=now)
    return reading


def newest_reading(conn: Connection, campaign_id: int) -> ReadingNow | None:
    """The gate's newest word about a campaign."""
    return _newest(conn, campaign_id, "true", 0)


def standing_halt(conn: Connection, campaign_id: int, *, overruled: int) -> ReadingNow | None:
    """The newest halt that no person let the campaign go on against; what was read since then does not take it back."""
    return _newest(conn, campaign_id, "r.verdict = 'halt' AND r.id > %(overruled)s", overruled)


def _newest(conn: Connection, campaign_id: int, which: str, overruled: int) -> ReadingNow | None:
    row = conn.execute(
        "SELECT r.id, r.wave, u.began_at + r.period * make_interval(secs => u.period_s), r.reading"
        " FROM firmware_rollout.gate_reading r JOIN firmware_rollout.gate_run u ON u.id = r.run_id"
        f" WHERE r.campaign_id = %(id)s AND {which} ORDER BY r.id DESC LIMIT 1".encode(),
        {"id": campaign_id, "overruled": overruled},
    ).fetchone()
    if row is None:
        return None
    reading = msgspec.json.decode(row[3], type=Reading)
    worse = any(reason.why is Why.WORSE for reason in reading.reasons)
    return ReadingNow(row[0], row[1], row[2], reading.verdict, finding(reading), worse)


def replay(conn: Connection, campaign_id: int) -> Replayed:
    """Judge every period of every run of a campaign again, from what was stored."""
    number = 0
    for run in _runs(conn, campaign_id, "ORDER BY id"):
        gate: Gate | None = None
        begun = 0
        for id_, stored, marks in _periods(conn, run):
            number += 1
            reading = msgspec.json.decode(stored, type=Reading)
            gate = gate or Gate(reading.policy, run.strata)
            begun = _begin_waves(gate, run, begun, reading.situation.wave)
            if _text(gate.close(marks, reading.situation)) != stored:
                return Replayed(number, id_)
    return Replayed(number, None)


def finding(reading: Reading) -> str:
    """What a reading found, in one line: what is worse, or what it still waits for."""
    said = {one.metric: one for one in reading.metrics}
    return "; ".join(_words(reason, said) for reason in reading.reasons) or str(reading.verdict)


def in_figures(logarithm: float) -> str:
    """A number by its natural logarithm: in full as long as people can read it, then as a power of ten."""
    return f"{math.exp(logarithm):,.0f}" if logarithm < math.log(1e7) else f"10^{logarithm / math.log(10):.0f}"


def _words(reason: Reason, said: Mapping[Metric, Any]) -> str:
    metric = str(reason.metric or "").replace("_", " ")
    if reason.why is Why.WORSE and reason.metric is not None:
        ratio = said[reason.metric].ratio
        times = "" if ratio is None else f" {ratio:.1f} times as often"
        return f"{metric}{times}: e-value {in_figures(reason.value)}, halts from {in_figures(reason.needed)}"
    if reason.why in (Why.NOT_SURE_YET, Why.UNCHANGED):
        # Odds against it can be enough for a small wave: that is no proof.
        sure = "not sure yet" if reason.why is Why.NOT_SURE_YET else "unchanged" if reason.value >= 0 else "not proven, but enough"
        return f"{metric}: {sure} (odds {math.exp(min(reason.value, 700)):.2g} to 1, needs {math.exp(min(reason.needed, 700)):.2g})"
    if reason.why is Why.NOT_MEASURED:
        return f"{metric} not measured"
    return f"{str(reason.why).replace('_', ' ')} ({reason.value:.3g} of {reason.needed:.3g})"


def _rebuilt(conn: Connection, run: Run, policy: GatePolicy) -> tuple[Gate, int]:
    """The gate as it was after the newest reading, and how many waves had begun."""
    gate, begun = Gate(policy, run.strata), 0
    for _, stored, marks in _periods(conn, run):
        situation = msgspec.json.decode(stored, type=Reading).situation
        begun = _begin_waves(gate, run, begun, situation.wave)
        gate.close(marks, situation)
    return gate, begun


def _begin_waves(gate: Gate, run: Run, begun: int, wave: int) -> int:
    if wave > begun:
        gate.begin_wave((run.waves > begun) & (run.waves <= wave))
    return max(wave, begun)


def _situation(conn: Connection, run: Run, waves: list[WaveNow], *, end: datetime) -> Situation:
    """Where the campaign stood at a period's end: the newest wave that had begun by then, and how far it is."""
    begun = [wave for wave in waves if wave.opened_at is not None and wave.opened_at < end]
    current = begun[-1]
    following = waves[len(begun)].share_pct if len(begun) < len(waves) else 100.0
    assert current.opened_at is not None  # it has begun
    row = conn.execute(
        "SELECT count(*) FILTER (WHERE state = %(done)s), count(*) FROM firmware_rollout.assignment"
        " WHERE campaign_id = %(campaign)s AND wave = %(wave)s",
        {"campaign": run.campaign_id, "wave": current.number, "done": State.DONE.value},
    ).fetchone()
    # Seen with the release, and well for long enough; a wave in which too many fail is a person's to let pass.
    done, its = row or (0, 0)
    # Whoever lets it go on after a halt has it judged anew: what was not decided by then has its time again.
    days = math.floor((end - max(current.opened_at, run.began_at)) / run.period + _NEARLY)
    updated_pct = 100 * done / max(its, 1)
    return Situation(current.number, current.share_pct, following, float(days), updated_pct, _of_fleet(conn, run.campaign_id))


def _of_fleet(conn: Connection, campaign_id: int) -> float:
    """What part of all shops with terminals a campaign aims at, up to 1."""
    row = conn.execute(
        "SELECT count(DISTINCT t.point_of_sale) FILTER (WHERE a.terminal_id IS NOT NULL), count(DISTINCT t.point_of_sale)"
        " FROM fleet.terminal t LEFT JOIN firmware_rollout.assignment a"
        " ON a.terminal_id = t.id AND a.campaign_id = %(campaign)s",
        {"campaign": campaign_id},
    ).fetchone()
    its, of_all = row or (0, 0)
    return float(its / of_all) if of_all else 1.0


def _mark(counts: I64, limits: I64 | None) -> Bool:
    marked: Bool = counts > (0 if limits is None else limits)
    return marked


def _past(conn: Connection, shops: list[str], policy: Policy, now: datetime) -> list[Counts]:
    """The periods before now of which anything is known, the oldest first."""
    spans = [(now - (ago + 1) * policy.period, now - ago * policy.period) for ago in reversed(range(PAST_DAYS))]
    found = (count(conn, shops, start=start, end=end, pace=policy.pace) for start, end in spans)
    return [one for one in found if one.tickets.any() or any(counts.any() for counts in one.of.values())]


def _strata(past: list[Counts], models: list[str]) -> dict[Metric, I64]:
    """Shops are compared with those of the same models, as much custom, and as bad a past."""
    custom = np.sum([one.tickets for one in past], axis=0) if past else np.zeros(len(models))
    thirds = np.searchsorted(np.quantile(custom, [1 / 3, 2 / 3]), custom) if len(models) else np.zeros(0, np.int64)
    kind = np.unique(models, return_inverse=True)[1].astype(np.int64) * 3 + thirds
    had = {metric: np.sum([one.of[metric] for one in past], axis=0) if past else np.zeros_like(kind) for metric in Metric}
    strata = {metric: strata_of(kind, had[metric]) for metric in Metric}
    strata[Metric.REBOOTS] = strata_of(kind, had[Metric.CRASHES], had[Metric.REBOOTS])
    return strata


def _limits(past: list[Counts], policy: GatePolicy, shops: int) -> dict[Metric, I64]:
    """What only one period of each shop's past exceeded; of a metric of which any event is a mark, none."""
    limits = {metric: np.zeros(shops, np.int64) for metric in Metric}
    for one in policy.metrics:
        if one.surge and past:
            limits[one.metric] = own_limits(np.stack([counts.of[one.metric] for counts in past]))
    return limits


def _judged(conn: Connection, run: Run) -> int:
    row = conn.execute(
        "SELECT COALESCE(max(period), 0) FROM firmware_rollout.gate_reading WHERE run_id = %(id)s", {"id": run.id}
    ).fetchone()
    return int(row[0]) if row else 0


def _store(conn: Connection, run: Run, period: int, marks: Mapping[Metric, Bool], reading: Reading, *, now: datetime) -> None:
    text = _text(reading)
    row = conn.execute(
        "INSERT INTO firmware_rollout.gate_reading (campaign_id, wave, at, verdict, reading, run_id, period)"
        " VALUES (%(campaign)s, %(wave)s, %(now)s, %(verdict)s, %(reading)s, %(run)s, %(period)s) RETURNING id",
        {
            "campaign": run.campaign_id,
            "wave": reading.situation.wave,
            "now": now,
            "verdict": reading.verdict.value,
            "reading": text,
            "run": run.id,
            "period": period,
        },
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO firmware_rollout.gate_mark (run_id, period, metric, marks) VALUES (%s, %s, %s, %s)",
            [(run.id, period, metric.value, np.packbits(marked).tobytes()) for metric, marked in marks.items()],
        )
    told = {
        "reading": row[0],
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "verdict": reading.verdict,
        "wave": reading.situation.wave,
        "period": period,
    }
    note(conn, actor=PLANNER, deed="judged", campaign_id=run.campaign_id, details=told, now=now)


def _periods(conn: Connection, run: Run) -> Iterator[tuple[int, str, dict[Metric, Bool]]]:
    """Each reading of a run with the marks that it was made from."""
    marks: dict[int, dict[Metric, Bool]] = {}
    rows = conn.execute("SELECT period, metric, marks FROM firmware_rollout.gate_mark WHERE run_id = %(id)s", {"id": run.id})
    for period, metric, packed in rows:
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(run.shops)).astype(bool)
        marks.setdefault(period, {})[Metric(metric)] = bits
    readings = conn.execute(
        "SELECT id, period, reading FROM firmware_rollout.gate_reading WHERE run_id = %(id)s ORDER BY period", {"id": run.id}
    ).fetchall()
    for id_, period, stored in readings:
        yield id_, stored, marks.get(period, {})


def _runs(conn: Connection, campaign_id: int, order: str) -> Iterator[Run]:
    rows = conn.execute(
        "SELECT id, campaign_id, began_at, period_s, shops, waves FROM firmware_rollout.gate_run"
        f" WHERE campaign_id = %(id)s {order}".encode(),
        {"id": campaign_id},
    ).fetchall()
    for id_, campaign, began_at, period_s, shops, waves in rows:
        past = conn.execute("SELECT metric, strata, limits FROM firmware_rollout.gate_past WHERE run_id = %(id)s", {"id": id_})
        strata, limits = dict[Metric, I64](), dict[Metric, I64]()
        for metric, its_strata, its_limits in past:
            strata[Metric(metric)], limits[Metric(metric)] = _array(its_strata), _array(its_limits)
        yield Run(id_, campaign, began_at, timedelta(seconds=period_s), shops, np.array(waves, np.int64), strata, limits)


def _text(reading: Reading) -> str:
    return msgspec.json.encode(reading).decode()


def _bytes(values: I64) -> bytes:
    return values.astype("<i8").tobytes()


def _array(stored: bytes) -> I64:
    return np.frombuffer(stored, "<i8").astype(np.int64)
