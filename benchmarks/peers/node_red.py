"""Node-RED storing MQTT telemetry in TimescaleDB: batches of 1,000 messages by one unnest insert.

That is the fast way there; one insert per message is some twenty times slower. It acknowledges a message on receipt, before
anything is stored, so what it has in hand is lost with it: it is a rival in speed, not in what is promised.
"""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from fleet.contract import SAMPLE_FIELDS
from fleet.database import connect
from vigie.engines.mosquitto import EmbeddedMosquitto

BATCH = 1_000
PACKAGES = ("node-red@4", "pg@8")
TABLE = "peer_sample"
_INSTALL_TIMEOUT_S = 300
_START_TIMEOUT_S = 60


def available() -> bool:
    """Whether this machine has npm."""
    return shutil.which("npm") is not None


def install(folder: Path) -> Path:
    """Node-RED and its PostgreSQL driver in a folder, which is used again; returns the folder of modules."""
    modules = folder / "node_modules"
    if not (modules / "node-red" / "red.js").exists() or not (modules / "pg").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), *PACKAGES]
        subprocess.run(command, check=True, timeout=_INSTALL_TIMEOUT_S, stdout=subprocess.DEVNULL)
    return modules


def create_table(database_url: str) -> None:
    """The table it fills: a hypertable with the index that look-ups need."""
    columns = ", ".join(f"{name} real" for name in SAMPLE_FIELDS)
    with connect(database_url, program="benchmark") as conn:
        conn.execute(f"DROP TABLE IF EXISTS {TABLE}")
        conn.execute(f"CREATE TABLE {TABLE} (time timestamptz NOT NULL, terminal_id int NOT NULL, {columns})")
        conn.execute(f"SELECT create_hypertable('{TABLE}', 'time', create_default_indexes => false)")
        conn.execute(f"CREATE INDEX ON {TABLE} (terminal_id, time)")


@contextlib.contextmanager
def running(
    modules: Path, home: Path, *, database_url: str, mosquitto: EmbeddedMosquitto, user: str, password: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Node-RED connected and subscribed; it is stopped at the end."""
    write_flow(home, modules, database_url=database_url, port=mosquitto.services.port, user=user, password=password)
    log = home / "node-red.log"
    with log.open("wb") as output:
        command = ["node", str(modules / "node-red" / "red.js"), "-u", str(home)]
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=home)
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while "Connected to broker" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Node-RED did not start: {log.read_text()[-800:]}")
            time.sleep(0.1)
        # It subscribes right after it says so.
        time.sleep(1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def write_flow(home: Path, modules: Path, *, database_url: str, port: int, user: str, password: str) -> None:
    """A user folder with the flow: subscribe, gather, insert."""
    home.mkdir(parents=True, exist_ok=True)
    parts = urlsplit(database_url)
    pool = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path[1:],
        "max": 4,
    }
    common = {"z": "tab", "x": 0, "y": 0}
    broker = {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(port), "clientid": "node-red"}
    flow = [
        {"id": "tab", "type": "tab", "label": "ingest"},
        {**broker, "autoConnect": True, "usetls": False, "protocolVersion": "4", "keepalive": "60", "cleansession": True},
        {
            **common,
            **{"id": "in", "type": "mqtt in", "topic": "pmu/v1/t/+/telemetry", "qos": "1", "datatype": "utf8"},
            **{"broker": "broker", "inputs": 0, "wires": [["store"]]},
        },
        {
            **common,
            **{"id": "store", "type": "function", "func": _store(), "outputs": 0, "noerr": 0, "wires": []},
            "initialize": f"const {{Pool}} = global.get('pg');"
            f"context.set('pool', new Pool({json.dumps(pool)})); context.set('rows', []);",
        },
    ]
    (home / "flows.json").write_text(json.dumps(flow))
    (home / "flows_cred.json").write_text(json.dumps({"broker": {"user": user, "password": password}}))
    (home / "settings.js").write_text(
        "module.exports = {flowFile: 'flows.json', credentialSecret: false, uiPort: 0, uiHost: '127.0.0.1', httpAdminRoot: false,"
        f" functionGlobalContext: {{pg: require({json.dumps(str(modules / 'pg'))})}},"
        " diagnostics: {enabled: false}, telemetry: {enabled: false}};"
    )


def _store() -> str:
    """The function node: columns of a thousand rows into one insert."""
    fields = ", ".join(f"s.{name} ?? null" for name in SAMPLE_FIELDS)
    kinds = ["float8[]", "int[]", *["real[]"] * len(SAMPLE_FIELDS)]
    names = [f"c{place}" for place in range(len(kinds))]
    unnest = ", ".join(f"${place}::{kind}" for place, kind in enumerate(kinds, start=1))
    insert = f"insert into {TABLE} select to_timestamp(c0), {', '.join(names[1:])} from unnest({unnest}) as u({', '.join(names)})"
    return f"""
const said = JSON.parse(msg.payload);
const id = +msg.topic.split('/')[3].slice(1);
const rows = context.get('rows').concat(said.samples.map(s => [s.at / 1000, id, {fields}]));
if (rows.length < {BATCH}) {{ context.set('rows', rows); return null; }}
context.set('rows', []);
const columns = [];
for (let c = 0; c < {len(kinds)}; c++) columns.push(rows.map(r => r[c]));
return context.get('pool').query({json.dumps(insert)}, columns).then(() => null);
"""
