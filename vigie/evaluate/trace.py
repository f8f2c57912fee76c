"""A scenario told in words, for whoever tunes: each incident's life, what was missed, and symptoms without a cause."""

from collections.abc import Iterator

from diagnostics.tracking.tracked import Scope
from vigie.evaluate.matching import FaultOutcome, Outcome
from vigie.evaluate.player import Player
from vigie.evaluate.record import Life, Record, Symptom

# Beyond this many, false symptoms are counted only.
_MOST_TOLD = 200


def told_in_words(player: Player, record: Record, outcome: Outcome) -> list[str]:
    """The lines of a scenario's trace."""
    return list(_lines(player, record, outcome))


def _lines(player: Player, record: Record, outcome: Outcome) -> Iterator[str]:
    start_s = player.scenario.start_s
    for fault, known in zip(player.population.truth(), outcome.faults, strict=True):
        first = "never" if fault.first_effect_s is None else _clock(fault.first_effect_s, start_s)
        scope = "listed" if fault.scope is None else scope_in_words(tuple(fault.scope.items()))
        yield (
            f"fault {fault.order + 1} {fault.kind} [{scope}] {len(fault.terminals)} terminals, first effect {first},"
            f" over {_clock(fault.over_s, start_s)}: {_verdict(known)}"
        )
    false = {life.key for life in outcome.false_incidents}
    for life in record.lives.values():
        yield from _life(life, start_s, is_false=life.key in false)
    yield f"{len(outcome.false_symptoms)} false symptoms of {len(record.symptoms)}"
    for symptom in outcome.false_symptoms[:_MOST_TOLD]:
        yield "  " + _symptom(symptom, player, start_s)


def _verdict(known: FaultOutcome) -> str:
    if known.detected is None:
        return "expects nothing" if known.expect == "nothing" else "could not show"
    if not known.detected:
        return "MISSED"
    exact = {True: ", scope exact", False: ", scope WRONG", None: ""}[known.scope_exact]
    return f"found after {known.latency_s:.0f} s{exact}" + (f", jaccard {known.jaccard:.2f}" if known.jaccard is not None else "")


def _life(life: Life, start_s: int, *, is_false: bool) -> Iterator[str]:
    mark = "FALSE incident" if is_false else "incident"
    if life.told_s is None:
        mark = "untold incident"
    parent = f" under {life.last.parent}" if life.last.parent is not None else ""
    yield f"{mark} {life.key} {life.trouble}{parent}"
    for moment in life.moments:
        yield (
            f"  {_clock(moment.second, start_s)} {moment.kind:<9} [{scope_in_words(moment.scope)}]"
            f" {moment.hits} terminals, score {moment.score:.1f}"
        )


def _symptom(symptom: Symptom, player: Player, start_s: int) -> str:
    until = "" if symptom.ended_s is None else f" to {_clock(symptom.ended_s, start_s)}"
    return (
        f"{_clock(symptom.found_s, start_s)}{until} {player.world.ids[symptom.row]} {symptom.trouble}"
        f" value {symptom.value:.4g} p {symptom.p:.1e}: {symptom.context}"
    )


def scope_in_words(scope: Scope) -> str:
    """A scope as people write it."""
    return " & ".join(f"{dimension}={value}" for dimension, value in scope) or "the whole fleet"


def _clock(second: int, start_s: int) -> str:
    """Minutes and seconds since the scenario's start."""
    minutes, seconds = divmod(abs(second - start_s), 60)
    return f"{'-' if second < start_s else ''}{minutes}:{seconds:02d}"
