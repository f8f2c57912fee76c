"""Who rings the hotline, when, and with which words."""

import pandas as pd

from simulators.scenario import Scenario
from simulators.world import World


def plan_calls(world: World, scenario: Scenario, *, start_s: int | None = None, minutes: int | None = None) -> pd.DataFrame:
    """Plan every call of a scenario, in order of time.

    Columns: `second` (int64, since the epoch), `shop` (int32 row of `world.shops`; -1 = the caller is no known shop),
    `caller` (E.164, or `anonymous`), `subject` (`technical|administrative|commercial`), `words` (what is said, French),
    `patience_s` (hangs up when not answered by then), `talk_s`, `cause` (order of the fault in the scenario, or -1).
    """
    raise NotImplementedError
