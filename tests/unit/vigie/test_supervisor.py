"""The supervisor restarts what dies, patiently, and stops everything in reverse order."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vigie.engines.process import EngineError
from vigie.up.supervisor import FIRST_DELAY_S, LONGEST_DELAY_S, STEADY_S, State, StopRequestedError, Supervisor, restart_delay_s


@dataclass
class Pretended:
    """A part without a process: it lives until told to die."""

    name: str
    journal: list[str]
    living: bool = False
    refuses: int = 0
    pid: int | None = field(default=4242)
    log: Path = Path("/nonexistent")

    def start(self) -> None:
        if self.refuses:
            self.refuses -= 1
            raise EngineError(f"{self.name} refuses")
        self.living = True
        self.journal.append(f"start {self.name}")

    def stop(self) -> None:
        self.living = False
        self.journal.append(f"stop {self.name}")
        if self.name == "stubborn":
            raise EngineError("will not")

    def alive(self) -> bool:
        return self.living


@pytest.fixture
def journal() -> list[str]:
    return []


@pytest.fixture
def supervisor(journal: list[str]) -> Iterator[Supervisor]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield Supervisor(lambda _line: None)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_parts_stop_last_in_first_out_even_when_one_resists(supervisor: Supervisor, journal: list[str]) -> None:
    with supervisor:
        for name in ("database", "stubborn", "web"):
            supervisor.start(name, Pretended(name, journal))
    assert journal == ["start database", "start stubborn", "start web", "stop web", "stop stubborn", "stop database"]


def test_parts_stop_after_an_error_too(supervisor: Supervisor, journal: list[str]) -> None:
    def bring_up() -> None:
        with supervisor:
            supervisor.start("database", Pretended("database", journal))
            supervisor.start("broker", Pretended("broker", journal, refuses=1))

    with pytest.raises(EngineError):
        bring_up()
    assert journal == ["start database", "stop broker", "stop database"]


def test_a_living_part_is_left_alone(supervisor: Supervisor, journal: list[str]) -> None:
    supervisor.start("web", Pretended("web", journal))
    for second in range(100):
        supervisor.tick(float(second))
    assert journal == ["start web"]


def test_a_dead_part_is_restarted_after_its_delay_and_not_before(supervisor: Supervisor, journal: list[str]) -> None:
    part = Pretended("web", journal)
    supervisor.start("web", part)
    died = supervisor.watched[0].since + 1
    part.living = False
    supervisor.tick(died)
    supervisor.tick(died + FIRST_DELAY_S - 0.01)
    assert (supervisor.watched[0].state, journal) == (State.WAITING, ["start web"])
    supervisor.tick(died + FIRST_DELAY_S)
    assert (supervisor.watched[0].state, supervisor.watched[0].restarts) == (State.RUNNING, 1)
    assert journal == ["start web", "start web"]


def test_a_part_that_will_not_start_is_tried_again(supervisor: Supervisor, journal: list[str]) -> None:
    part = Pretended("postgres", journal)
    supervisor.start("postgres", part)
    part.living, part.refuses = False, 2
    now = supervisor.watched[0].since + 1
    for _ in range(200):
        supervisor.tick(now)
        now += 1
    assert supervisor.watched[0].state is State.RUNNING
    assert supervisor.watched[0].restarts == 3


def test_a_part_that_keeps_dying_waits_longer_each_time(supervisor: Supervisor, journal: list[str]) -> None:
    part = Pretended("web", journal)
    supervisor.start("web", part)
    entry = supervisor.watched[0]
    delays = []
    for _ in range(3):
        part.living = False
        died = entry.since + 1
        supervisor.tick(died)
        delays.append(entry.retry_at - died)
        supervisor.tick(entry.retry_at)
    assert delays == pytest.approx([FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S])
    part.living = False
    died = entry.since + STEADY_S
    supervisor.tick(died)
    assert entry.retry_at - died == pytest.approx(FIRST_DELAY_S)


def test_a_part_that_may_end_is_not_restarted(supervisor: Supervisor, journal: list[str]) -> None:
    part = Pretended("simulator", journal)
    supervisor.start("simulator", part, keep=False)
    part.living = False
    supervisor.tick(1e9)
    supervisor.tick(2e9)
    assert (supervisor.watched[0].state, journal) == (State.STOPPED, ["start simulator"])


def test_nothing_more_is_started_once_the_end_is_asked_for(supervisor: Supervisor, journal: list[str]) -> None:
    def bring_up() -> None:
        with supervisor:
            supervisor.start("database", Pretended("database", journal))
            signal.raise_signal(signal.SIGTERM)
            supervisor.start("broker", Pretended("broker", journal))

    with pytest.raises(StopRequestedError):
        bring_up()
    assert journal == ["start database", "stop database"]


def test_delays_double_up_to_a_bound() -> None:
    delays = [restart_delay_s(failures) for failures in range(1, 10)]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == LONGEST_DELAY_S
