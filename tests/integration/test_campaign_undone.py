"""A campaign whose release was found to do harm, in the console: what a roll-back will do, and what stays known."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from typer.testing import CliRunner

from firmware_rollout.campaigns import campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.states import CampaignState, State
from firmware_rollout.way_back import WayBack, way_back
from tests import rollout_world
from tests.integration.rollout_house import MINUTE, born, take_step
from tests.rollout_world import MAKER, NEW, OLD, SECOND
from tests.running_web import RunningWeb
from vigie.cli import app

Run = Callable[..., str]


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


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `vigie …`."""
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)

    def ran(*words: str) -> str:
        done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"}, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    return ran


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
        assert "(revenus\u00a0: 38, l&#39;avaient déjà\u00a0: 2)" in page
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


def test_a_release_that_was_found_to_do_harm_is_marked_wherever_it_is_chosen(web: RunningWeb, run: Run) -> None:
    with web.client(MAKER) as browser:
        page, listed = browser.get(f"/console/releases/{NEW}").text, browser.get("/console/releases").text
        assert "Le contrôle a trouvé cette version nuisible\u00a0: appels à l'assistance" in page
        for shown in (page, listed):
            assert "reconnue nuisible" in shown
        assert "reconnue nuisible" not in browser.get(f"/console/releases/{OLD}").text
        form = browser.get("/console/campaigns/new").text
        assert f'value="{NEW}">{NEW} · modèles B · reconnue nuisible' in form
        assert f'value="{OLD}">{OLD} · modèles B</option>' in form
        with psycopg.connect(web.database_url) as conn:
            do(conn, "hiver", Deed.ABORT, actor=SECOND, why="les appels", now=web.clock())
        drafted = run("campaign", "create", "again", "--release", NEW, "--where", "carrier=omega", "--by", "alix")
        with psycopg.connect(web.database_url) as conn:
            made = campaign(conn, "again")
        assert "Le contrôle a trouvé cette version nuisible" in browser.get(f"/console/campaigns/{made.id}").text
    said = f"the gate found {NEW} to do harm (calls) in campaign hiver"
    assert said in drafted
    assert said in run("release", "show", NEW)
    assert "B, does harm" in run("release", "list")
    assert "does harm" not in run("release", "show", OLD)
