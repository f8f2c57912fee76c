"""Campaigns by REST: cursor pages, problems that name the field, what programs may do and what only people may; and the audit."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import psycopg
import pytest

from firmware_rollout.audit import verify
from firmware_rollout.campaigns import Campaign, campaign
from firmware_rollout.states import CampaignState
from hotline.roles import Role
from tests import rollout_world
from tests.rollout_world import MAKER, NEW, SECOND
from tests.running_web import RunningWeb


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    """The web program with a campaign that the gate halted, one under way, and shops of one more carrier."""
    running = RunningWeb(module_database_url)
    with psycopg.connect(module_database_url) as conn:
        rollout_world.furnish(conn, now=running.clock(), others=["chi", "phi"])
        rollout_world.halted(conn, now=running.clock())
        rollout_world.begun(conn, now=running.clock(), name="chi", where={"carrier": "chi"})
        rollout_world.judged_again(conn, now=running.clock())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def program(web: RunningWeb) -> Iterator[httpx.Client]:
    """A program with a token of a rollout manager's."""
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=bearer(web, Role.ROLLOUT_MANAGER), timeout=20) as client:
        yield client


def bearer(web: RunningWeb, role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {web.access.api[role]}"}


def stored(web: RunningWeb, name: str) -> Campaign:
    with psycopg.connect(web.database_url) as conn:
        return campaign(conn, name)


def problem(answer: httpx.Response, status: int, field: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def everything(client: httpx.Client, path: str, **asked: str) -> list[dict[str, Any]]:
    """All items, through the smallest pages."""
    items: list[dict[str, Any]] = []
    while True:
        page = client.get(path, params={"limit": "1", **asked}).json()
        items += page["items"]
        if page["next"] is None:
            return items
        asked["cursor"] = page["next"]


def test_campaigns_and_all_that_belongs_to_them_come_page_by_page(web: RunningWeb, program: httpx.Client) -> None:
    assert [one["name"] for one in everything(program, "/campaigns")] == ["chi", "hiver", "automne"]
    made = stored(web, "hiver")
    one = program.get(f"/campaigns/{made.id}").json()
    assert (one["state"], one["created_by"], one["approved_by"]) == ("halted", MAKER, SECOND)
    assert one["possible"] == ["resume", "abort", "roll_back"]
    assert [(wave["share_pct"], wave["in_vain"]) for wave in one["waves"]] == [(50, 4), (100, 0)]
    assert one["policy"]["pace"] == 1
    readings = everything(program, f"/campaigns/{made.id}/readings")
    assert [reading["verdict"] for reading in readings] == ["halt", "wait", "wait", "wait"]
    [calls] = readings[0]["metrics"]
    assert calls["metric"] == "calls"
    assert calls["log_e"] > calls["log_threshold"]
    assert readings[0]["reasons"][0]["why"] == "worse"
    members = everything(program, f"/campaigns/{made.id}/terminals", state="done")
    assert len(members) == one["terminals"]["done"]
    assert members[0]["reason"] == "well_for_long"
    terminal = members[0]["terminal_id"]
    [action] = everything(program, f"/terminals/{terminal}/firmware-actions")
    assert (action["outcome"], action["release"]) == ("success", NEW)
    assert action["answers"][0]["details"] == ["Slot B written, verified"]
    for path in ("/campaigns/999", "/campaigns/999/readings", "/campaigns/999/terminals"):
        problem(program.get(path), 404, "campaign")
    problem(program.get("/terminals/T99999/firmware-actions"), 404, "terminal_id")
    problem(program.get("/campaigns", params={"cursor": "eA"}), 422, "cursor")


def test_programs_stop_campaigns_and_bring_firmware_to_nobody(web: RunningWeb, program: httpx.Client) -> None:
    path = f"/campaigns/{stored(web, 'chi').id}"
    problem(program.post(f"{path}/pause"), 422, "why")
    assert program.post(f"{path}/pause", json={"why": "l'hôtel des ventes ferme"}).json()["state"] == "paused"
    for deed in ("resume", "pass"):
        problem(program.post(f"{path}/{deed}", json={"why": "x"}), 409, "actor")
    assert program.post(f"{path}/halt", json={"why": "x"}).json()["state"] == "halted"
    problem(program.post(f"{path}/halt", json={"why": "x"}), 409, "state")
    problem(program.post(f"{path}/roll_back", json={"why": "x"}), 409, "actor")
    problem(program.post("/campaigns", json={"name": "x", "release": NEW}), 409, "actor")
    assert program.post(f"{path}/abort", json={"why": "fin"}).json()["state"] == "aborted"
    with psycopg.connect(web.database_url) as conn:
        actors = conn.execute("SELECT DISTINCT actor FROM firmware_rollout.audit WHERE deed IN ('pause', 'halt')").fetchall()
    assert actors == [("[api rollout_manager]",)]


def test_a_person_drafts_and_a_second_one_approves_by_rest(web: RunningWeb) -> None:
    new: dict[str, Any] = {"name": "phi", "release": NEW, "target": {"carrier": "phi"}, "policy": {"gate": {"least_days": 2}}}
    with closing(signed_in(web, MAKER)) as maker, closing(signed_in(web, SECOND)) as second:
        for changed, field in (
            ({"name": ""}, "name"),
            ({"release": "9.9.9"}, "release"),
            ({"target": {"carrier": "nobody"}}, "target.carrier"),
            ({"target": {"planet": "mars"}}, "target.planet"),
            ({"policy": {"pace": -1}}, "policy.pace"),
            ({"policy": {"gate": {"alpha": 2}}}, "policy.alpha"),
            ({"policy": {"speed": 2}}, "policy.policy"),
            ({"begins": "2026-11-23T10:00:00"}, "begins"),
        ):
            problem(maker.post("/campaigns", json={**new, **changed}), 422, field)
        made = maker.post("/campaigns", json=new)
        assert made.status_code == 201, made.text
        assert (made.json()["created_by"], made.json()["policy"]["gate"]["least_days"]) == (MAKER, 2)
        assert made.json()["target"] == {"carrier": ["phi"]}
        path = f"/campaigns/{made.json()['id']}"
        problem(maker.post(f"{path}/approve"), 409, "actor")
        assert second.post(f"{path}/approve").json()["state"] == "approved"
    assert stored(web, "phi").state is CampaignState.APPROVED


def signed_in(web: RunningWeb, login: str) -> httpx.Client:
    client = web.client(login)
    client.headers["X-CSRF-Token"] = client.get("/console/account").text.split('name="csrf" value="')[1].split('"')[0]
    client.base_url = f"{web.url}/api/v1/"
    return client


def test_the_audit_is_read_and_its_chain_checked_on_the_page_and_by_rest(web: RunningWeb, program: httpx.Client) -> None:
    entries = everything(program, "/rollout-audit-entries", campaign=str(stored(web, "hiver").id))
    assert [one["number"] for one in entries] == sorted((one["number"] for one in entries), reverse=True)
    assert entries[-1]["deed"] == "created"
    assert "gate_halts" in [one["deed"] for one in entries]
    with psycopg.connect(web.database_url) as conn:
        found = verify(conn)
    chain = program.get("/rollout-audit-entries/chain").json()
    assert chain == {"rows": found.rows, "bad": None, "head": found.head.hex(), "reading": None}
    with web.client("dsi") as browser:
        page = browser.get("/console/rollout-audit", params={"check": "1"}).text
        assert f"La chaîne tient\u00a0: {found.rows} lignes" in page
        assert found.head.hex() in page
        halts = browser.get("/console/rollout-audit", params={"deed": "gate_halts"}).text
        assert halts.count("<tr>") == 2
        assert "automatiquement" in halts
        halted_by_hand = browser.get("/console/rollout-audit", params={"deed": "approve"}).text
        assert "<p>essayé sur dix terminaux</p><details" in halted_by_hand, "a reason does not hide what else was noted"
        decisions = browser.get("/console/rollout-audit", params={"deed": "decisions"}).text
        assert ("automatiquement" in decisions, "a fait avancer des terminaux</td>" in decisions) == (True, False)
        moved = browser.get("/console/rollout-audit", params={"deed": "planned"}).text
        assert "<li>en attente → en cours de mise à jour · sa vague a commencé · 40 (T00" in moved, "read, not JSON"
        assert "Rien n'a été fait" in browser.get("/console/rollout-audit", params={"actor": "nobody"}).text
        with psycopg.connect(web.database_url) as conn:
            conn.execute("ALTER TABLE firmware_rollout.audit DISABLE TRIGGER audit_is_for_ever")
            conn.execute("UPDATE firmware_rollout.audit SET actor = 'somebody' WHERE number = 3")
        assert "La ligne 3 ne suit pas" in browser.get("/console/rollout-audit", params={"check": "1"}).text
    assert program.get("/rollout-audit-entries/chain").json()["bad"] == 3


def test_a_terminals_page_tells_its_firmware_history(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        updated, waiting = (rollout_world.in_wave(conn, "hiver", wave)[5] for wave in (1, 2))
    with web.client("alice") as browser:
        page = browser.get(f"/console/terminals/{updated}").text
        for said in ("mise à jour vers 4.5.0", "réussie", "Slot B written, verified", "nouvelle version constatée", "tentative 1"):
            assert said in page, said
        assert "Aucune mise à jour ne lui a été demandée" in browser.get(f"/console/terminals/{waiting}").text
