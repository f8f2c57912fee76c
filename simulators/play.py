"""Plays a scenario live: the world of its seed, its terminals on the broker, its callers on the telephone, then the truth.

A scenario begins now, by a clock that may be moved. At the end, or when asked to stop, nothing new is produced, journals
drain as far as they can within a bound, terminals say goodbye, and the truth file is written.
"""

import csv
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fleet.errors import VigieError
from simulators import truth
from simulators.callers import plan_calls
from simulators.conduct import Conductor, make_devices
from simulators.crew import OWN, crew
from simulators.desk_work import DeskWork
from simulators.link import Endpoint
from simulators.population import Population
from simulators.release_callers import ReleaseCallers
from simulators.ring import Ring, Switchboard, planned, schedule
from simulators.scenario import Scenario, load
from simulators.screen import Screen
from simulators.swarm import RESEND_S, Swarm, raise_file_limit
from simulators.updates.fleet import Updates, read_place
from simulators.world import World, build_world

# An acknowledgement takes a few seconds; a message lost with a broker comes again within a minute.
DRAIN_S = 90.0
# Agents who are called in for what a release makes shops ring about, which nobody planned.
LATE_AGENTS = 6
# At most so long on catching up before the network gets its turn again.
_BREATH_S = 0.02

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Performance:
    """What to play, and where."""

    scenario: Path
    mqtt_url: str
    passwords: Path
    truth: Path
    mqtt_ca_file: str = ""
    cti_url: str = ""
    desk_work: DeskWork | None = None
    """Where the agents keep what calls were about."""
    agents: int = 30
    staff: str = ""
    """Agents of the console who take part."""
    clock_offset_s: int = 0
    ddi_url: str = ""
    """The device API up to the terminals' names; empty: terminals don't update themselves."""
    tokens: Path = Path("tokens.csv")
    maker_root: Path = Path("root.json")
    ddi_ca_file: str = ""
    minutes: float | None = None
    """Shorter than the scenario."""
    resend_s: int = RESEND_S
    drain_s: float = DRAIN_S


def read_passwords(path: Path) -> dict[str, str]:
    """Read the CSV `terminal,password` that the registry's import wrote."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise VigieError(f"the terminals' passwords cannot be read from {path}: {error.strerror}") from None
    if not rows or not {"terminal", "password"} <= set(rows[0]):
        raise VigieError(f"{path} must have the columns terminal and password, and a line for each terminal")
    return {row["terminal"]: row["password"] for row in rows}


def run(performance: Performance, *, screen: Screen) -> truth.Total:
    """Play to the end, or until SIGTERM or Ctrl-C; returns the totals of the truth file it wrote."""
    scenario = load(performance.scenario)
    raise_file_limit(scenario.terminals)
    passwords = read_passwords(performance.passwords)
    endpoint = Endpoint.of(performance.mqtt_url, ca_file=performance.mqtt_ca_file)

    def clock_s() -> float:
        return time.time() + performance.clock_offset_s

    with _stopping_on_signals() as stopping:
        screen.say(f"“{scenario.name}”: making the world of seed {scenario.seed}")
        world = build_world(scenario.seed, scenario.terminals)
        scenario = _from_now(scenario, performance, int(clock_s()) + 1)
        population = Population(world, scenario)
        devices = make_devices(world, passwords, boot=scenario.start_s)
        swarm = Swarm(endpoint, devices, seed=scenario.seed, now_ms=lambda: int(clock_s() * 1000), resend_s=performance.resend_s)
        ring = _make_ring(performance, world, scenario, clock_s)
        # The world lives to the end: collecting garbage need not look through it again and again.
        gc.collect()
        gc.freeze()
        updates = _make_updates(performance, population, swarm, ring, clock_s=clock_s)
        conductor = Conductor(population, swarm, updates)
        end_s = _play(conductor, ring, scenario=scenario, screen=screen, clock_s=clock_s, stopping=stopping)
        if ring is not None:
            ring.stop()
        _drain(conductor, performance.drain_s, screen, stopping)
        records = list(_tell(performance, scenario, conductor, ring, end_s))
        swarm.finish()
    truth.write(performance.truth, records)
    total = records[-1]
    assert isinstance(total, truth.Total)
    screen.say(f"truth written to {performance.truth}")
    return total


def _from_now(scenario: Scenario, performance: Performance, now_s: int) -> Scenario:
    scenario = scenario.starting(now_s)
    if performance.minutes is not None:
        scenario = scenario.model_copy(update={"minutes": min(scenario.minutes, performance.minutes)})
    return scenario


def _make_ring(performance: Performance, world: World, scenario: Scenario, clock_s: Callable[[], float]) -> Ring | None:
    if not performance.cti_url:
        return None
    calls = planned(plan_calls(world, scenario), world.shops["code"])
    acts = schedule(calls, crew=crew(performance.agents, performance.staff), seed=scenario.seed)
    # Who answers calls that nobody could plan: of our own floor, and no others, since those are busy as planned.
    late = {OWN.queue: [f"late{number:02d}" for number in range(1, LATE_AGENTS + 1)]} if performance.agents else {}
    board = Switchboard(late, seed=scenario.seed)
    name = f"sim-{scenario.start_s}"
    return Ring(performance.cti_url, calls, acts, name=name, clock_s=clock_s, desk_work=performance.desk_work, late=board)


def _make_updates(
    performance: Performance, population: Population, swarm: Swarm, ring: Ring | None, *, clock_s: Callable[[], float]
) -> Updates | None:
    if not performance.ddi_url:
        return None
    place = read_place(performance.ddi_url, performance.tokens, performance.maker_root, ca_file=performance.ddi_ca_file)
    world, scenario = population.world, population.scenario
    callers = ReleaseCallers(world, scenario, first_number=ring.planned) if ring is not None and scenario.release else None
    return Updates(place, population, swarm.devices, seed=scenario.seed, clock_s=clock_s, callers=callers)


def _play(
    conductor: Conductor,
    ring: Ring | None,
    *,
    scenario: Scenario,
    screen: Screen,
    clock_s: Callable[[], float],
    stopping: threading.Event,
) -> int:
    """Live second by second up to the scenario's end; returns the second it stopped at."""
    swarm, updates = conductor.swarm, conductor.updates
    if ring is not None:
        ring.start()
    if updates is not None:
        updates.start()
    second = scenario.start_s
    while second < scenario.end_s and not stopping.is_set():
        if clock_s() >= second:
            conductor.live(second)
            if ring is not None and updates is not None and updates.callers is not None:
                for call in updates.callers.due(second):
                    ring.add(call)
            second += 1
            screen.show(swarm, conductor, ring, second=second, scenario=scenario)
            swarm.pump(time.monotonic() + _BREATH_S)
        else:
            # Short turns, so that a signal is heeded at once.
            swarm.pump(time.monotonic() + min(0.25, max(0.0, second - clock_s())))
    if updates is not None:
        updates.stop()
    return second


def _drain(conductor: Conductor, limit_s: float, screen: Screen, stopping: threading.Event) -> None:
    """Wait until every terminal has seen all its entries acknowledged, or the bound is reached.

    Outages end with the play, so that what they held back is told too. A second signal ends the waiting.
    """
    swarm, dead = conductor.swarm, conductor.dead
    stopping.clear()
    swarm.relent(dead)
    deadline = time.monotonic() + limit_s
    while (waiting := swarm.waiting(dead)) and time.monotonic() < deadline and not stopping.is_set():
        screen.draining(waiting, swarm.backlog(), deadline - time.monotonic())
        swarm.pump(time.monotonic() + 0.25)
    if waiting:
        logger.warning("%s terminals end with entries not acknowledged", waiting, extra={"action": "drain"})


def _tell(
    performance: Performance, scenario: Scenario, conductor: Conductor, ring: Ring | None, end_s: int
) -> Iterator[truth.Record]:
    """Write down all that was done."""
    ids = conductor.population.world.ids
    yield truth.Play(
        scenario.name,
        scenario.seed,
        len(ids),
        scenario.start_s * 1000,
        end_s * 1000,
        performance.clock_offset_s,
    )
    for fault in conductor.population.truth():
        yield truth.Fault(
            fault.order,
            str(fault.kind),
            fault.expect,
            dict(fault.scope) if fault.scope is not None else None,
            [ids[index] for index in fault.terminals.tolist()],
            [second * 1000 for second in fault.onset_s.tolist()],
            fault.first_effect_s * 1000 if fault.first_effect_s is not None else None,
            int(fault.end_s) * 1000,
        )
    terminals = list(conductor.truth())
    lived = conductor.updates.boots.lived if conductor.updates is not None else []
    calls = ring.truth() if ring is not None else []
    yield from terminals
    for one in lived:
        yield truth.Update(ids[one.terminal], one.second * 1000, one.version, one.slot, str(one.effect or ""))
    yield from calls
    yield total_of(terminals, calls, conductor.swarm)


def total_of(terminals: list[truth.Terminal], calls: list[truth.Call], swarm: Swarm) -> truth.Total:
    """Sum up what terminals and callers did."""
    boots = [boot for terminal in terminals for boot in terminal.boots]
    done = swarm.totals
    return truth.Total(
        produced=sum(boot.last for boot in boots),
        dropped=sum(_count(boot.dropped) for boot in boots),
        left=sum(_count(boot.left) for boot in boots),
        misdated=sum(_count(boot.misdated) for boot in boots),
        messages=done.messages,
        entries_sent=done.entries,
        entries_sent_again=done.entries_again,
        acknowledged=done.acknowledged,
        connections=done.connections,
        connections_lost=done.lost,
        connections_refused=done.refused,
        failures=dict(swarm.failures.most_common(20)),
        calls=len(calls),
        calls_not_delivered=sum(1 for call in calls if not any(200 <= status < 300 for status in call.statuses)),
    )


def _count(parts: list[truth.Range]) -> int:
    return sum(high - low + 1 for low, high in parts)


@contextmanager
def _stopping_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, for as long as the play lasts."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
