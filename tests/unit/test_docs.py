"""The contract's documents say what the code says, and every setting is documented."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from fleet import contract
from fleet.broker_access import SERVICE_RULES, TERMINAL_RULES, Access, acl_file
from fleet.contract import COUNTERS, DOWNWARD, SAMPLE_FIELDS, UPWARD, Channel, EventCode, topic
from fleet.ingest.decode import Reason
from fleet.opening_hours import parse
from fleet.registry_csv import ACCESS_KINDS, POINT_COLUMNS, TERMINAL_COLUMNS

DOCS = Path(__file__).parents[2] / "docs"
MQTT = (DOCS / "mqtt.md").read_text()
ASYNCAPI: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
SCHEMAS: dict[str, Any] = ASYNCAPI["components"]["schemas"]
STRUCTS: dict[Channel, type[msgspec.Struct]] = {
    Channel.PRESENCE: contract.Presence,
    Channel.TELEMETRY: contract.Telemetry,
    Channel.EVENT: contract.Events,
    Channel.ACK: contract.Ack,
    Channel.DESIRED: contract.Desired,
    Channel.REPORTED: contract.Reported,
    Channel.CMD: contract.Command,
    Channel.RES: contract.Result,
}
# What is no terminal's: by the name of its operation.
INCIDENT_NAME = "incident"
PAYLOADS: dict[str, type[msgspec.Struct]] = {INCIDENT_NAME: contract.IncidentState, **dict(STRUCTS.items())}
# A payload may name its terminal; that is no part of what a terminal is asked to say, only checked against the topic.
CLAIMS = {"terminal", "terminal_id", "id"}


def rows(pattern: str, text: str = MQTT) -> list[tuple[str, ...]]:
    """The cells of the table rows whose first cell matches."""
    found = re.findall(rf"^\| ({pattern}) \|(.*)\|$", text, re.MULTILINE)
    return [(first, *(cell.strip() for cell in rest.split("|"))) for first, rest in found]


def section(title: str) -> str:
    found = re.search(rf"^##+ {title}\n(.*?)(?=^##+ |\Z)", MQTT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found.group(1)


def test_the_architecture_lists_every_decision_that_is_recorded() -> None:
    listed = re.findall(r"\(adr/([^)]+)\)", (DOCS / "architecture.md").read_text())
    assert listed == sorted(path.name for path in (DOCS / "adr").glob("*.md"))


def required(struct: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct) if field.required}


def names(struct: type[msgspec.Struct]) -> set[str]:
    claims = CLAIMS - required(struct)
    return set(struct.__struct_fields__) - claims


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolved(reference: str) -> Any:
    node: Any = ASYNCAPI
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_asyncapi_is_valid_and_its_references_lead_somewhere() -> None:
    schema = json.loads((Path(__file__).parent / "data/asyncapi-3.0.0-mqtt.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(ASYNCAPI)
    assert [resolved(reference) for reference in references(ASYNCAPI)]


def test_asyncapi_has_the_contracts_channels_and_directions() -> None:
    addresses = {topic("{terminal}", channel) for channel in Channel} | {f"{contract.INCIDENT_ROOT}/{{incident}}"}
    assert {c["address"] for c in ASYNCAPI["channels"].values()} == addresses
    actions = {name: operation["action"] for name, operation in ASYNCAPI["operations"].items()}
    expected: dict[str, str] = dict.fromkeys(map(str, UPWARD), "receive") | dict.fromkeys(
        [*map(str, DOWNWARD), INCIDENT_NAME], "send"
    )
    assert actions == expected
    assert ASYNCAPI["operations"]["cmd"]["bindings"]["mqtt"]["messageExpiryInterval"] == contract.COMMAND_EXPIRY_S
    for name, operation in ASYNCAPI["operations"].items():
        assert operation["channel"]["$ref"] == f"#/channels/{name}"


@pytest.mark.parametrize(
    ("schema", "struct"),
    [
        pytest.param("birth", contract.Presence, id="birth"),
        pytest.param("telemetry", contract.Telemetry, id="telemetry"),
        pytest.param("sample", contract.Sample, id="sample"),
        pytest.param("events", contract.Events, id="events"),
        pytest.param("event", contract.Event, id="event"),
        pytest.param("reported", contract.Reported, id="reported"),
        pytest.param("result", contract.Result, id="result"),
        pytest.param("ack", contract.Ack, id="ack"),
        pytest.param("desired", contract.Desired, id="desired"),
        pytest.param("command", contract.Command, id="command"),
        pytest.param("incident", contract.IncidentState, id="incident"),
    ],
)
def test_asyncapi_has_the_fields_of_the_code(schema: str, struct: type[msgspec.Struct]) -> None:
    assert set(SCHEMAS[schema]["properties"]) == names(struct)
    assert set(SCHEMAS[schema]["required"]) == required(struct)


def test_asyncapi_has_the_bounds_of_the_code() -> None:
    for name, alias in (("u32", contract.U32), ("ms", contract.Ms)):
        described = msgspec.json.schema(alias)
        assert (SCHEMAS[name]["minimum"], SCHEMAS[name]["maximum"]) == (described["minimum"], described["maximum"])
    for name, items in (("telemetry", "samples"), ("events", "events")):
        bounds = SCHEMAS[name]["properties"][items]
        assert (bounds["minItems"], bounds["maxItems"]) == (1, contract.MAX_SAMPLES)
    assert SCHEMAS["event"]["properties"]["code"]["enum"] == list(EventCode)
    commands = msgspec.json.schema(contract.Command)["$defs"]["Command"]["properties"]["name"]["enum"]
    assert sorted(SCHEMAS["command"]["properties"]["name"]["enum"]) == sorted(commands)


def test_asyncapis_examples_are_what_its_schemas_and_the_code_accept() -> None:
    for name, channel in ASYNCAPI["channels"].items():
        for reference in channel["messages"].values():
            message = resolved(reference["$ref"])
            for example in message["examples"]:
                jsonschema.Draft7Validator({**ASYNCAPI, **message["payload"]}).validate(example["payload"])
                msgspec.convert(example["payload"], PAYLOADS[name])


def test_the_page_lists_the_channels_as_asyncapi_does() -> None:
    table = {row[0].strip("`"): row[1:4] for row in rows("`[a-z]+`", section("In short"))}
    expected = {}
    for name in Channel:
        operation = ASYNCAPI["operations"][name]
        binding = operation["bindings"]["mqtt"]
        direction = "up" if operation["action"] == "receive" else "down"
        expected[name] = (direction, str(binding["qos"]), "yes" if binding["retain"] else "no")
    assert table == expected


def test_the_page_lists_every_field_of_a_sample_with_unit_and_kind() -> None:
    table = rows("`[a-z_]+`", section("Samples"))
    assert tuple(row[0].strip("`") for row in table) == SAMPLE_FIELDS
    for name, unit, kind, meaning in table:
        field = SCHEMAS["sample"]["properties"][name.strip("`")]
        assert (unit, kind, meaning) == (field["x-unit"], field["x-kind"], field["description"])
        assert kind == ("counter" if name.strip("`") in COUNTERS else "gauge")
        suffix = {"ms": "ms", "pct": "%", "dbm": "dBm", "c": "°C", "mb": "MB", "s": "s"}
        assert unit == suffix.get(name.strip("`").rpartition("_")[2], "1")


def test_the_page_lists_presence_fields_event_codes_and_reasons() -> None:
    assert {row[0].strip("`") for row in rows("`[a-z]+`", section("Connecting"))} == names(contract.Presence)
    assert [row[0].strip("`") for row in rows("`[a-z_]+`", section("Incidents"))] == list(contract.IncidentState.__struct_fields__)
    assert [row[0].strip("`") for row in rows("`[A-Z_]+`", section("Events"))] == list(EventCode)
    assert [row[0].strip("`") for row in rows("`[a-z_]+`", section("What happens to what cannot be read"))] == list(Reason)


def test_the_pages_figures_are_the_codes() -> None:
    figures = {
        f"Every {contract.OPEN_CADENCE_S} s while the shop is open, every {contract.CLOSED_CADENCE_S} s while it is closed",
        f"1 to {contract.MAX_SAMPLES} samples",
        f"1 to {contract.MAX_SAMPLES} events",
        f"more than {contract.OLDEST_SAMPLE_S // 86400} days old or more than {contract.NEWEST_SAMPLE_S // 60} minutes ahead",
        f"expires after {contract.COMMAND_EXPIRY_S} s",
        f"0 to {2**32 - 1}",
    }
    assert [figure for figure in figures if figure not in MQTT] == []


def test_the_pages_examples_are_accepted_and_cover_every_channel() -> None:
    examples = re.findall(r"^`pmu/v1/t/(T\d{5})/(\w+)`\n\n```json\n(.*?)```", MQTT, re.MULTILINE | re.DOTALL)
    [incident] = re.findall(r"^`pmu/v1/incident/\d+`\n\n```json\n(.*?)```", MQTT, re.MULTILINE | re.DOTALL)
    assert set(json.loads(incident)) == names(contract.IncidentState)
    msgspec.json.decode(incident, type=contract.IncidentState)
    assert len(examples) + 1 == MQTT.count("```json")
    assert {channel for _, channel, _ in examples} == set(Channel)
    for _, channel, text in examples:
        struct = STRUCTS[Channel(channel)]
        assert set(json.loads(text)) <= names(struct)
        msgspec.json.decode(text, type=struct)
    birth, telemetry = json.loads(examples[0][2]), json.loads(next(text for _, c, text in examples if c == "telemetry"))
    assert set(birth) == names(contract.Presence)
    assert set(telemetry["samples"][0]) == names(contract.Sample)


def test_the_pages_rules_are_those_the_broker_gets() -> None:
    [block] = re.findall(r"```acl\n(.*?)```", MQTT, re.DOTALL)
    assert block.splitlines() == [line for line in acl_file().splitlines() if line.startswith("pattern")]

    def channels(rules: tuple[Any, ...], access: Access) -> str:
        return " ".join(f"`{rule.channel}`" for rule in rules if rule.access is access)

    table = rows("a terminal, under its own id|`vigie-[a-z]+`", section("Security"))
    expected = {"a terminal, under its own id": TERMINAL_RULES, **{f"`{name}`": rules for name, rules in SERVICE_RULES.items()}}
    assert table == [(name, channels(rules, Access.WRITE), channels(rules, Access.READ)) for name, rules in expected.items()]


def test_the_rules_for_emqx_are_the_same() -> None:
    [block] = re.findall(r"```erlang\n(.*?)```", MQTT, re.DOTALL)
    found = set()
    for who, action, topics in re.findall(
        r"^\{allow, \{username, (.*?)\}, (publish|subscribe), \[(.*?)\]\}\.$", block, re.MULTILINE
    ):
        access = Access.WRITE if action == "publish" else Access.READ
        found |= {(who.strip('"'), access, name.strip(' "')) for name in topics.split(",")}
    terminal = '{re, "' + contract.TERMINAL_PATTERN + '"}'
    expected = {(terminal.strip('"'), rule.access, rule.topic("${username}")) for rule in TERMINAL_RULES}
    for name, rules in SERVICE_RULES.items():
        expected |= {(name, rule.access, rule.topic("+")) for rule in rules}
    assert found == expected
    assert block.rstrip().endswith("{deny, all}.")


def test_the_registrys_columns_are_documented() -> None:
    text = (DOCS / "registry.md").read_text()
    assert [row[0].strip("`") for row in rows("`[a-z_]+`", text)] == [*POINT_COLUMNS, *TERMINAL_COLUMNS]
    [access] = [row[1] for row in rows("`access`", text)]
    assert re.findall("`(.*?)`", access) == list(ACCESS_KINDS)
    [hours] = [row[1] for row in rows("`opening_hours`", text)]
    assert [parse(example) for example in re.findall("`(.*?)`", hours)]


# Which programs read a settings class; a class that is only a part of others names no program of its own.
PROGRAMS = {
    "IngestSettings": "ingest",
    "WatchSettings": "watch",
    "RolloutSettings": "rollout",
    "WebSettings": "web",
    "TelephonySettings": "telephony",
    "SimulateSettings": "simulate",
    "EngineSettings": "engines",
    "ReleaseSettings": "release",
    "DevicesSettings": "devices",
    "DeviceKeySettings": "device",
}
PARTS = {
    "VigieSettings",
    "ClockSettings",
    "DatabaseSettings",
    "MqttSettings",
    "MetricsSettings",
    "RetentionSettings",
    "NoticeSettings",
    "RetentionOfCalls",
    "FiguresSettings",
    "StoreSettings",
    "OnlineKeysSettings",
    "DeviceApiSettings",
    "OpeningSettings",
}


def settings_classes() -> list[type[BaseSettings]]:
    """Every settings class of every package, found by importing all their modules."""
    for package in ("fleet", "diagnostics", "firmware_rollout", "hotline", "simulators", "vigie"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)

    def below(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
        for sub in kind.__subclasses__():
            yield sub
            yield from below(sub)

    ours = {kind for kind in below(BaseSettings) if kind.model_config.get("env_prefix") == "VIGIE_"}
    return sorted(ours, key=lambda kind: kind.__name__)


def expected_settings() -> list[str]:
    """The rows of docs/settings.md as the code has them: name, programs, default, meaning."""
    found: dict[str, tuple[set[str], str, str]] = {}
    for kind in settings_classes():
        for name, field in kind.model_fields.items():
            default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
            shown = "needed" if default is PydanticUndefined else "none" if default in (None, "") else f"`{default}`"
            programs, *_ = found.setdefault(f"VIGIE_{name.upper()}", (set(), shown, field.description or ""))
            programs |= {PROGRAMS[kind.__name__]} if kind.__name__ in PROGRAMS else set()
    return [
        f"| `{name}` | {', '.join(sorted(programs))} | {default} | {meaning} |"
        for name, (programs, default, meaning) in sorted(found.items())
    ]


def test_every_settings_class_belongs_to_a_program_or_is_a_part() -> None:
    assert {kind.__name__ for kind in settings_classes()} == PARTS | set(PROGRAMS)


def test_every_setting_is_documented_with_its_default() -> None:
    documented = [line for line in (DOCS / "settings.md").read_text().splitlines() if line.startswith("| `VIGIE_")]
    assert documented == expected_settings()
