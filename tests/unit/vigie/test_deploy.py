"""What `deploy/` holds would start: valid by schema, with the accounts and rules that the code expects."""

import csv
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.broker_access import SERVICE_RULES
from vigie.engines.layout import Layout, RunAs
from vigie.engines.mosquitto import Door, EmbeddedMosquitto, configuration
from vigie.up.plan import ACCOUNTS, PROGRAMS, TELEPHONY, mqtt_setting

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
UNITS = ("vigie@.service", "vigie.service")
# Where things stand differs between the containers' broker and the embedded one; nothing else may.
PLACES = {"listener", "password_file", "acl_file", "persistence_location", "user", "log_timestamp_format"}


def _compose() -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


def _schema_check(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_compose_file_is_valid_by_the_compose_schema() -> None:
    done = _schema_check(DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout


def test_the_schema_would_refuse_a_wrong_compose_file(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text("services:\n  web:\n    imagee: vigie\n")
    assert _schema_check(wrong).returncode != 0


def test_compose_runs_every_program_with_its_own_broker_account() -> None:
    services = _compose()["services"]
    for name in PROGRAMS:
        url = services[name]["environment"].get(mqtt_setting(name), "")
        assert services[name]["command"] == name
        assert url.startswith(f"mqtt://{ACCOUNTS[name]}:")


def test_compose_gives_the_rollout_keys_to_sign_with_and_terminals_an_address_of_https() -> None:
    services = _compose()["services"]
    keys = services["rollout"]["environment"]["VIGIE_RELEASE_KEYS"]
    assert f"${{VIGIE_RELEASE_KEYS_FOLDER:?}}:{keys}:ro" in services["rollout"]["volumes"]
    assert services["web"]["environment"]["VIGIE_WEB_BEHIND_TLS"] == "true"
    assert services["web"]["environment"]["VIGIE_DDI_URL"] == "${VIGIE_DDI_URL:?}"
    assert "\nVIGIE_DDI_URL=https://" in (DEPLOY / "example.env").read_text()
    assert "VIGIE_RELEASE_KEYS" not in services["web"]["environment"], "what faces the network holds no signing key"


def test_compose_listens_to_an_exchange_only_where_it_is_asked_to() -> None:
    services = _compose()["services"]
    assert [name for name, service in services.items() if "profiles" in service] == [TELEPHONY]
    telephony = services[TELEPHONY]
    assert (telephony["command"], telephony["profiles"]) == (TELEPHONY, [TELEPHONY])
    # What is asked for by `:?` would be asked of everybody, with the profile or without.
    assert telephony["environment"]["VIGIE_AMI_URL"] == "${VIGIE_AMI_URL:-}"
    assert telephony["environment"]["VIGIE_DATABASE_URL"] == services["web"]["environment"]["VIGIE_DATABASE_URL"]
    # It needs no broker.
    assert list(telephony["depends_on"]) == ["migrate"]


def test_compose_gives_a_password_to_exactly_the_accounts_there_are() -> None:
    content = _compose()["configs"]["service-passwords"]["content"]
    assert {row["account"] for row in csv.DictReader(io.StringIO(content))} == set(SERVICE_RULES)


def test_example_settings_are_the_ones_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?\}", (DEPLOY / "compose.yaml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (DEPLOY / "example.env").read_text(), flags=re.MULTILINE))
    assert asked == offered


def test_containers_broker_follows_the_same_rules_as_the_embedded_one(tmp_path: Path) -> None:
    nowhere = Layout(*[tmp_path] * 5)
    embedded = EmbeddedMosquitto(nowhere, tmp_path, Door(1883), Door(1884))
    ours = configuration(embedded, tmp_path, None, RunAs(None, None, "vigie"))
    assert _directives((DEPLOY / "mosquitto.conf").read_text()) == _directives(ours)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_units_are_understood(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / unit).read_text()
    command = re.search(r"^ExecStart=/opt/vigie/\.venv/bin/vigie (\S+)", text, flags=re.MULTILINE)
    assert command is not None
    assert command[1] in ("%i", "up")
    if shutil.which("systemd-analyze") is None:
        # A machine without systemd cannot judge its files; the rest of this test still holds there.
        return
    file = tmp_path / unit.replace("@", "@ingest")
    file.write_text(text.replace("/opt/vigie/.venv/bin/vigie", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_programs_units_can_write_where_the_runbook_keeps_releases() -> None:
    unit = (DEPLOY / "vigie@.service").read_text()
    assert "ProtectSystem=strict" in unit, "so that nothing else can be written"
    assert "\nStateDirectory=vigie\n" in unit
    for text in (unit, (DEPLOY.parent / "docs/runbook.md").read_text()):
        assert "VIGIE_RELEASE_STORE=/var/lib/vigie/firmware" in text


def _directives(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return sorted(line for line in lines if line.split()[0] not in PLACES)
