"""A rollout manager adds a release in the browser: a wrong file is refused where it stands, the signed one is taken in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from playwright.sync_api import expect

from tests.e2e.conftest import OpenConsole
from tests.integration.signed_releases import NOW, Maker, trusting
from tests.rollout_world import MAKER
from tests.running_web import RunningWeb


def test_a_release_is_uploaded_and_a_wrong_file_refused(database_url: str, tmp_path: Path, open_console: OpenConsole) -> None:
    # The maker's signatures are as old as the tests.
    offset = round((NOW + timedelta(hours=1) - datetime.now(UTC)).total_seconds())
    web = RunningWeb(database_url, clock_offset_s=offset, release_store=str(tmp_path / "store"))
    maker = Maker(tmp_path / "maker")
    with psycopg.connect(database_url) as conn:
        trusting(conn, maker)
    file = maker.sign("5.0.0", size=4_000_000)
    assert maker.signed is not None
    (tmp_path / "targets.json").write_bytes(maker.signed)
    (tmp_path / "other.swu").write_bytes(b"x" * 4_000_000)
    web.start()
    try:
        manager = open_console(web.url, login=MAKER)
        page = manager.page
        page.goto(f"{web.url}/console/releases")
        page.set_input_files("#targets", tmp_path / "targets.json")
        page.set_input_files("#file", tmp_path / "other.swu")
        page.get_by_role("button", name="Envoyer").click()
        expect(page.locator("#upload-result [role=alert]")).to_contain_text("Ce fichier ne peut pas être pris")
        # The browser calls an answer that says what is wrong a resource that failed.
        manager.complaints.clear()
        page.set_input_files("#file", file)
        page.get_by_role("button", name="Envoyer").click()
        expect(page.get_by_role("heading", name="Version 5.0.0")).to_be_visible()
        expect(page.locator(".wide-facts")).to_contain_text("fw-5.0.0.swu")
        expect(page.locator(".badge", has_text="signée")).to_be_visible()
    finally:
        web.stop()
