"""A small world that the simulators' tests share."""

from collections.abc import Callable
from typing import Any

import pytest

from simulators.population import Population
from simulators.world import World, build_world
from tests.unit.simulators.scenes import SEED, make_scenario


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(SEED, 2400)


@pytest.fixture
def population(world: World) -> Callable[..., Population]:
    def make(*faults: dict[str, Any], **more: Any) -> Population:
        return Population(world, make_scenario(*faults, **more))

    return make
