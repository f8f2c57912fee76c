"""A campaign whose release was found to do harm, in the console: what a roll-back will do, and what stays known."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from firmware_rollout.campaigns import campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.states import CampaignState, State
from firmware_rollout.way_back import WayBack, way_back
from tests import rollout_world
from tests.integration.rollout_house import MINUTE, born, take_step
from tests.rollout_world import MAKER, NEW, OLD, SECOND
from tests.running_web import RunningWeb


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program; a campaign that the gate halted for harm, and two of its terminals that had the release from elsewhere."""
    running = RunningWeb(database_url)
    now = running.clock()
    with psycopg.connect(database_url) as conn:
        rollout_world.furnish(conn, now=now)
        rollout_world.halted(conn, now=now)
        born(conn, rollout_world.in_wave(conn, "hiver", 2)[-2:], at=now, firmware=NEW, boot=2)
        take_step(conn, now)
    running.start()
    yield running
    running.stop()


def test_a_roll_back_says_beforehand_whom_it_brings_back_and_leaves_the_harm_told(web: RunningWeb) -> None:
    now = web.clock()
    with psycopg.connect(web.database_url) as conn:
        made = campaign(conn, "hiver")
        plan = way_back(conn, made.id, NEW)
    assert plan == WayBack(back=38, had_it=2, stranded=0, on_their_way=0)
    address = f"/console/campaigns/{made.id}"
    with web.client(MAKER) as browser:
        page = browser.get(address).text
        for shown in (page, browser.get(f"{address}/now").text):
            assert "38 terminaux retrouvent leur version précédente" in shown
            assert "2 avaient la 4.5.0 avant cette campagne, et la gardent" in shown
            assert "avec cette version" in shown, "to run what does harm is no success"
            assert "<dt>à jour</dt>" not in shown
        assert page.count('id="way-back"') == 1
        assert "avec cette version" in browser.get("/console/campaigns").text
        with psycopg.connect(web.database_url) as conn:
            do(conn, "hiver", Deed.ROLL_BACK, actor=SECOND, why="les appels", now=now)
            conn.commit()
            take_step(conn, now)
            back = rollout_world.in_wave(conn, "hiver", 1)[2:]
            born(conn, back, at=now + MINUTE, firmware=OLD, boot=3)
            for _ in range(2):
                take_step(conn, now + timedelta(minutes=2))
            done = campaign(conn, "hiver")
        assert done.state is CampaignState.ROLLED_BACK
        assert (done.states[State.ROLLED_BACK], done.states[State.DONE]) == (38, 2)
        page = browser.get(address).text
        assert "Version nuisible" in page
        assert "appels à l&#39;assistance\u00a0: les points de vente mis à jour vont moins bien" in page
        assert "avec cette version" in page
        assert "<dt>à jour</dt>" not in page
        header, waves = page.split("</dl>")[0], page.split('class="waves"')[1].split("</table>")[0]
        failed = done.states[State.FAILED]
        assert f"<dt>en échec</dt><dd>{failed}</dd>" in header
        assert "<dt>de retour à l'ancienne version</dt><dd>38</dd>" in header
        assert [row.split('class="number">')[3].split("<")[0] for row in waves.split("<tr")[2:]] == [
            str(failed),
            "0",
        ], "as the header says"
