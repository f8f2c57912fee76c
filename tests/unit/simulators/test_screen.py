"""What a play shows: whole lines in a log, never wrapped, and not one a second."""

import io

import pytest
from rich.console import Console

from simulators import screen as module
from simulators.conduct import Conductor, make_devices
from simulators.link import Endpoint
from simulators.population import Population
from simulators.scenario import parse
from simulators.screen import RichScreen
from simulators.swarm import Swarm
from simulators.world import build_world

SCENARIO = 'name = "short"\nseed = 5\nterminals = 12\nstart = "2026-11-23T14:20:00+01:00"\nminutes = 10'


@pytest.mark.parametrize("terminal", [pytest.param(False, id="log"), pytest.param(True, id="terminal")])
def test_a_play_is_shown(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_EVERY_S", 3600.0)
    world, scenario = build_world(5, 12), parse(SCENARIO, source="test")
    devices = make_devices(world, dict.fromkeys(world.ids, "x"), boot=scenario.start_s)
    swarm = Swarm(Endpoint.of("mqtt://127.0.0.1:1"), devices, seed=1, now_ms=lambda: 0)
    conductor = Conductor(Population(world, scenario), swarm)
    out = io.StringIO()
    with RichScreen(Console(file=out, width=40, force_terminal=terminal)) as screen:
        screen.say("a line that is longer than the forty columns of this console")
        for second in range(scenario.start_s, scenario.start_s + 3):
            conductor.live(second)
            screen.show(swarm, conductor, None, second=second, scenario=scenario)
    text = out.getvalue()
    assert "simulate: a line that is longer than the forty columns of this console\n" in text
    assert "0 of 12" in text
    if not terminal:
        assert text.count("\n") == 2
