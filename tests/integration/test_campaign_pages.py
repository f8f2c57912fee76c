"""Campaigns in the console, over HTTP: the list, one campaign's page, making one, and what people do to it."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import msgspec
import psycopg
import pytest

from firmware_rollout.audit import verify
from firmware_rollout.campaigns import Campaign, CampaignError, campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.states import CampaignState
from hotline.rollout_form import suggested
from tests import rollout_world
from tests.integration.rollout_house import DAY, lenient_policy, take_step
from tests.rollout_world import MAKER, NEW, SECOND
from tests.running_web import RunningWeb


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    """The web program; a campaign that the gate halted, and a few shops of four other carriers."""
    running = RunningWeb(module_database_url)
    with psycopg.connect(module_database_url) as conn:
        rollout_world.furnish(conn, now=running.clock(), others=["chi", "phi", "psi", "rho", "tau"])
        rollout_world.halted(conn, now=running.clock())
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def halted(web: RunningWeb) -> Campaign:
    with psycopg.connect(web.database_url) as conn:
        return campaign(conn, "hiver")


def begun(web: RunningWeb, carrier: str) -> Campaign:
    """A campaign over the shops of a carrier, under way, by the carrier's name."""
    with psycopg.connect(web.database_url) as conn:
        made = rollout_world.begun(conn, now=web.clock(), name=carrier, where={"carrier": carrier})
        rollout_world.judged_again(conn, now=web.clock())
    return made


def state_of(web: RunningWeb, name: str) -> CampaignState:
    with psycopg.connect(web.database_url) as conn:
        return campaign(conn, name).state


def csrf_of(page: httpx.Response) -> str:
    return page.text.split('name="csrf" value="')[1].split('"')[0]


def acts(browser: httpx.Client, made: Campaign, deed: str, why: str) -> httpx.Response:
    path = f"/console/campaigns/{made.id}"
    return browser.post(f"{path}/{deed}", data={"csrf": csrf_of(browser.get(path)), "why": why})


def test_a_halted_campaign_says_why_and_shows_its_evidence(web: RunningWeb, halted: Campaign) -> None:
    made = halted
    assert made.state is CampaignState.HALTED
    with web.client("supervisor") as browser:
        text = browser.get(f"/console/campaigns/{made.id}").text
        assert "Arrêt automatique" in text
        assert "appels à l&#39;assistance\u00a0: les points de vente mis à jour vont moins bien" in text
        for drawn in ("plot-threshold", "plot-span", "vague 1", "en attente (groupe témoin)"):
            assert drawn in text, drawn
        assert "Personne rollout_manager" in text
        assert "essayé sur dix terminaux" in text
        assert 'data-deed="' not in text, "a supervisor sees, and does nothing"
    with web.client(MAKER) as browser:
        page = browser.get(f"/console/campaigns/{made.id}").text
        assert 'data-deed="pass"' not in page, "harm is overruled, not let pass"
        assert page.count('required pattern=".*\\S.*"') >= 3, "a reason of blanks is none, and the dialog says so"
        assert 'id="act-resume" class="button button-quiet"' in page, "nothing invites to go on against the gate"
        refused = acts(browser, made, "pass", "on est pressé")
        assert (refused.status_code, "Cette vague ne peut pas être laissée passer" in refused.text) == (422, True)
    with web.client("supervisor") as browser:
        now = browser.get(f"/console/campaigns/{made.id}/now").text
        assert "<html" not in now
        assert "plot-threshold" in now
        assert "hiver" in browser.get("/console/campaigns").text
    with web.client("carol") as browser:
        assert "calls to the hotline: updated shops do worse" in browser.get(f"/console/campaigns/{made.id}").text


@pytest.mark.usefixtures("halted")
def test_the_pop_says_the_wave_the_arm_and_why_it_halted(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        updated, waiting = (rollout_world.in_wave(conn, "hiver", wave)[5] for wave in (1, 2))
    with web.client("alice") as browser:
        text = browser.get(f"/console/terminals/{updated}").text
        assert "micrologiciel 4.5.0\u00a0: installé, reconnu nuisible" in text
        assert "campagne hiver\u00a0: arrêtée, vague 1 · sa vague a commencé · version nuisible" in text
        assert "là où elle est installée\u00a0: appels à l&#39;assistance" in text
        assert "vague 2 · groupe témoin\u00a0: son tour n&#39;est pas venu" in browser.get(f"/console/terminals/{waiting}").text


def test_a_halt_for_want_of_evidence_is_not_shown_as_harm(web: RunningWeb) -> None:
    start = web.clock() - 2 * DAY
    gate = msgspec.structs.replace(lenient_policy().gate, least_days=0.1, longest_days=0.5)
    with psycopg.connect(web.database_url) as conn:
        # Nobody fetches the update, so that nothing can be said of it.
        made = rollout_world.begun(
            conn, now=start, name="indécise", where={"carrier": "tau"}, policy=lenient_policy(gate=gate, shares_pct=(50.0, 100.0))
        )
        for _ in range(2):
            take_step(conn, start + DAY + timedelta(minutes=16))
        assert campaign(conn, made.name).state is CampaignState.HALTED
        rollout_world.judged_again(conn, now=web.clock())
    with web.client("supervisor") as browser:
        page = browser.get(f"/console/campaigns/{made.id}").text
        audit = browser.get("/console/rollout-audit", params={"campaign": made.id}).text
    assert "le contrôle n'a pas pu dire à temps si la version nuit" in page
    assert "toujours indécis après 1\u202fj" in page
    assert "arrêt automatique\u00a0: indécis depuis trop longtemps" in page, "its course"
    assert "automatique\u00a0: les points de vente" not in page
    assert "<td>arrêt automatique\u00a0: indécis depuis trop longtemps" in audit
    with web.client(MAKER) as browser:
        assert 'id="act-pass" class="button button-quiet"' in browser.get(f"/console/campaigns/{made.id}").text
        refused = acts(browser, made, "pass", " ")
        assert (refused.status_code, "Dites pourquoi" in refused.text) == (422, True)
        assert acts(browser, made, "pass", "rien à signaler").status_code == 303
        assert "a laissé passer la vague sans preuves suffisantes" in browser.get(f"/console/campaigns/{made.id}").text
        assert state_of(web, made.name) is CampaignState.RUNNING
        with psycopg.connect(web.database_url) as conn:
            take_step(conn, web.clock())
            rollout_world.judged_again(conn, now=web.clock())
        waves = browser.get(f"/console/campaigns/{made.id}").text.split('class="waves"')[1].split("</table>")[0]
        assert "franchie sur décision de Personne rollout_manager" in waves, "no green mark for what nobody proved"
        assert '#ok"/>' not in waves


def test_a_campaign_is_made_from_the_form_and_begins_when_a_second_person_approves_it(web: RunningWeb) -> None:
    with web.client(MAKER) as browser:
        csrf = csrf_of(browser.get("/console/campaigns/new"))
        aimed = {"carrier": "rho", "model": "B, "}
        form = {**suggested("fr"), "csrf": csrf, "name": "printemps", "release": NEW, **aimed, "soak_minutes": "7,5"}
        answer = browser.post("/console/campaigns", data=form)
        assert answer.status_code == 303, answer.text
        page = browser.get(answer.headers["Location"])
        assert "une deuxième personne l'approuve" in page.text
        assert "Elle vise peu de points de vente" in page.text
        with psycopg.connect(web.database_url) as conn:
            made = campaign(conn, "printemps")
        assert (made.created_by, made.release, sum(made.states.values())) == (MAKER, NEW, 4)
        assert made.target == {"model": ["B"], "carrier": ["rho"]}
        assert '"soak_minutes": 7.5' in made.policy
        refused = acts(browser, made, "approve", "")
        assert refused.status_code == 422
        assert "Vous avez créé cette campagne" in refused.text
    assert state_of(web, "printemps") is CampaignState.DRAFT
    with web.client(SECOND) as browser:
        assert acts(browser, made, "approve", "").status_code == 303
    assert state_of(web, "printemps") is CampaignState.APPROVED
    with psycopg.connect(web.database_url) as conn:
        assert verify(conn).bad is None
        assert campaign(conn, "printemps").approved_by == SECOND


WRONG: list[tuple[dict[str, str], str]] = [
    ({"name": " "}, "name"),
    ({"name": "automne"}, "name"),
    ({"release": "9.9.9"}, "release"),
    ({"carrier": "nobody"}, "carrier"),
    ({"model": "A"}, "where"),
    ({"shares_pct": "5 3 100"}, "shares_pct"),
    ({"shares_pct": "five"}, "shares_pct"),
    ({"soak_minutes": "long"}, "soak_minutes"),
    ({"cap_in_flight": "2.5"}, "cap_in_flight"),
    ({"max_attempts": "0"}, "max_attempts"),
    ({"longest_days": "1"}, "least_days"),
    ({"window_from": "25:00"}, "window_from"),
    ({"begins": "soon"}, "begins"),
    ({"seed": "x"}, "seed"),
]


def test_what_is_wrong_with_the_form_stands_at_its_field_and_nothing_is_made(web: RunningWeb) -> None:
    with web.client(MAKER) as browser:
        csrf = csrf_of(browser.get("/console/campaigns/new"))
        for changed, field in WRONG:
            form = {**suggested("fr"), "csrf": csrf, "name": "nulle", "release": NEW, "carrier": "chi", **changed}
            answer = browser.post("/console/campaigns", data=form)
            assert answer.status_code == 422, changed
            assert f'id="{field}-error"' in answer.text, changed
            at = answer.text.split(f'aria-describedby="{field}-error"')[0].rsplit("<", 1)[1]
            assert field == "where" or f'name="{field}"' in at, changed
    with psycopg.connect(web.database_url) as conn, pytest.raises(CampaignError):
        campaign(conn, "nulle")


def test_every_wrong_field_is_told_at_once_in_the_readers_language(web: RunningWeb) -> None:
    """And the form offers what can be aimed at."""
    wrong = {"name": "nulle", "soak_minutes": "lots", "cap_in_flight": "-3", "pace": "99999", "model": "Z"}
    with web.client(MAKER) as browser:
        asked = browser.get("/console/campaigns/new")
        assert '<option value="omega">' in asked.text.split('<datalist id="known-carrier">')[1].split("</datalist>")[0]
        form = {**suggested("fr"), "csrf": csrf_of(asked), "release": NEW, **wrong}
        text = browser.post("/console/campaigns", data=form).text
    for field, said in (
        ("model", "Aucun terminal n&#39;a «\u00a0Z\u00a0»"),
        ("soak_minutes", "«\u00a0lots\u00a0» n&#39;est pas un nombre."),
        ("cap_in_flight", "Il faut plus de 0."),
        ("pace", "Au plus 2\u202f880."),
    ):
        assert said in text.split(f'id="{field}-error"')[1].split("</p>")[0], field
    assert text.count('aria-invalid="true"') == 4
    assert " autofocus" in text.split('name="model"')[1].split(">")[0], "the first on the page"
    assert text.count(" autofocus") == 1
    assert '<a href="#scope-model">modèle</a>, <a href="#cap_in_flight">' in text.split('role="alert"')[1].split("</p>")[0]


def test_people_pause_resume_halt_abort_and_roll_back_each_with_a_reason(web: RunningWeb) -> None:
    made = begun(web, "chi")
    way = [
        ("pause", CampaignState.PAUSED),
        ("resume", CampaignState.RUNNING),
        ("halt", CampaignState.HALTED),
        ("abort", CampaignState.ABORTED),
        ("roll_back", CampaignState.ROLLING_BACK),
    ]
    with web.client(MAKER) as browser:
        for deed, after in way:
            before = state_of(web, made.name)
            refused = acts(browser, made, deed, "  ")
            assert refused.status_code == 422, deed
            assert "Dites pourquoi" in refused.text
            assert state_of(web, made.name) is before
            assert acts(browser, made, deed, f"parce que {deed}").status_code == 303
            assert state_of(web, made.name) is after
        page = browser.get(f"/console/campaigns/{made.id}").text
        for deed, _ in way:
            assert f"parce que {deed}" in page
        assert acts(browser, made, "approve", "x").status_code == 422
        assert (
            browser.post(f"/console/campaigns/{made.id}/explode", data={"csrf": csrf_of(browser.get("/console"))}).status_code
            == 422
        )
        assert browser.get("/console/campaigns/999").status_code == 404
    with psycopg.connect(web.database_url) as conn:
        noted = conn.execute(
            "SELECT actor, subject FROM hotline.audit WHERE route = 'POST /console/campaigns/{campaign}/{deed}' AND status = 303"
        ).fetchall()
    assert [subject["deed"] for actor, subject in noted if (actor, subject["campaign"]) == (MAKER, str(made.id))] == [
        deed for deed, _ in way
    ]


def test_a_campaign_changed_meanwhile_is_said_and_left(web: RunningWeb) -> None:
    made = begun(web, "phi")
    with web.client(MAKER) as browser:
        csrf = csrf_of(browser.get(f"/console/campaigns/{made.id}"))
        with psycopg.connect(web.database_url) as conn:
            do(conn, "phi", Deed.ABORT, actor=SECOND, why="faux départ", now=web.clock())
        answer = browser.post(f"/console/campaigns/{made.id}/halt", data={"csrf": csrf, "why": "trop d'appels"})
    assert answer.status_code == 422
    assert "La campagne a changé entre-temps" in answer.text
    assert state_of(web, made.name) is CampaignState.ABORTED


def test_nothing_is_done_without_the_pages_own_proof(web: RunningWeb) -> None:
    made = begun(web, "psi")
    with web.client(MAKER) as browser:
        answer = browser.post(f"/console/campaigns/{made.id}/halt", data={"why": "x"})
    assert answer.status_code == 403
    assert state_of(web, made.name) is CampaignState.RUNNING


def test_the_overflow_floor_has_the_line_of_the_call_and_no_more(web: RunningWeb, halted: Campaign) -> None:
    with psycopg.connect(web.database_url) as conn:
        terminal = rollout_world.in_wave(conn, "hiver", 1)[5]
    with web.client("level1-overflow") as browser:
        for path in ("/console/campaigns", f"/console/campaigns/{halted.id}", "/console/releases", "/console/rollout-audit"):
            assert browser.get(path).status_code == 403, path
        page = browser.get(f"/console/terminals/{terminal}").text
        assert "campagne hiver\u00a0: arrêtée, vague 1" in page
        assert "Historique du micrologiciel" not in page
        assert 'href="/console/campaigns"' not in page
