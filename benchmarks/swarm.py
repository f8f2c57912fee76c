"""What the simulated fleet costs: `python -m benchmarks.swarm`.

Plays a quiet afternoon of the whole fleet, in a process of its own, against a throw-away Mosquitto with the real password file
and topic rules; a second process acknowledges what arrives, as the ingest worker would. Prints how long it took until all were
online, and the core and memory that the swarm and the broker use at fleet rate. The check: everything produced was acknowledged.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions
from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_s
from fleet.broker_access import SERVICE_RULES, acl_file, hash_service_password, hash_terminal_password, new_password, password_file
from fleet.contract import Ack, Channel, parse_topic, topic
from fleet.settings import read
from simulators.conduct import Conductor
from simulators.play import Performance, run
from simulators.ring import Ring
from simulators.scenario import Scenario
from simulators.swarm import Swarm
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.mosquitto import EmbeddedMosquitto

BOUNDS = {"all online, s": 60.0, "swarm, % of a core": 50.0, "swarm, MB": 1024.0}
# The rate settles once the connecting is over.
SETTLE_S = 5.0
_SCENARIO = (
    'name = "a quiet afternoon"\nseed = 7\nterminals = {terminals}\nstart = "2026-11-23T14:00:00+01:00"\nminutes = {minutes}\n'
)


@dataclass
class Measuring:
    """A screen that measures instead of showing."""

    mosquitto: int
    began: float = field(default_factory=time.monotonic)
    online_s: float = 0.0
    marks: list[tuple[float, float, float, int, int]] = field(default_factory=list)
    acknowledged: int = 0

    def say(self, line: str) -> None:
        """Nothing: a benchmark is quiet."""

    def show(self, swarm: Swarm, conductor: Conductor, ring: Ring | None, *, second: int, scenario: Scenario) -> None:  # noqa: ARG002  # the screen's interface
        """Mark time, processor time and messages once everybody is online and the rush is over."""
        now = time.monotonic()
        if not self.online_s:
            if swarm.online == len(swarm.devices):
                self.online_s = now - self.began
        elif now - self.began > self.online_s + SETTLE_S:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            totals = swarm.totals
            self.marks.append((now, usage.ru_utime + usage.ru_stime, cpu_s(self.mosquitto), totals.entries, totals.acknowledged))
        self.acknowledged = swarm.totals.acknowledged

    def draining(self, terminals: int, entries: int, left_s: float) -> None:
        """Nothing."""


def main() -> int:
    """Play, measure, print; status 1 where a bound is missed or something was not acknowledged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=16_000)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="vigie-swarm-"))
    home.chmod(0o755)
    mosquitto = EmbeddedMosquitto(fetch_engines(read(EngineSettings), lambda _: None), home / "broker")
    try:
        figures = measure(mosquitto, home, terminals=arguments.terminals, minutes=arguments.minutes)
    finally:
        mosquitto.stop()
        shutil.rmtree(home, ignore_errors=True)
    missed = show(figures, terminals=arguments.terminals)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures | {"machine": platform.machine(), "cores": os.cpu_count()}))
    return int(missed)


def measure(mosquitto: EmbeddedMosquitto, home: Path, *, terminals: int, minutes: float) -> dict[str, float]:
    """Play on this broker and return the figures."""
    services = {name: new_password() for name in SERVICE_RULES}
    passwords = {f"T{number:05}": new_password() for number in range(1, terminals + 1)}
    accounts = [(name, hash_service_password(password)) for name, password in services.items()]
    accounts += [(name, hash_terminal_password(password)) for name, password in passwords.items()]
    mosquitto.passwords.write_text(password_file(accounts))
    mosquitto.acl.write_text(acl_file())
    (home / "passwords.csv").write_text("terminal,password\n" + "".join(f"{t},{p}\n" for t, p in passwords.items()))
    (home / "scenario.toml").write_text(_SCENARIO.format(terminals=terminals, minutes=minutes))
    mosquitto.start()
    spawn = multiprocessing.get_context("spawn")
    keeper = spawn.Process(target=acknowledge, args=(mosquitto.url("vigie-ingest", services["vigie-ingest"]),), daemon=True)
    keeper.start()
    ours, theirs = spawn.Pipe()
    url = f"mqtt://{mosquitto.terminals.host}:{mosquitto.terminals.port}"
    swarm = spawn.Process(target=play, args=(home, url, mosquitto.pid, theirs), daemon=True)
    swarm.start()
    # The scenario, the drain's bound, and the making of the world.
    figures: dict[str, float] = ours.recv() if ours.poll(minutes * 60 + 180) else {}
    swarm.join(30)
    keeper.kill()
    return figures


def play(home: Path, url: str, mosquitto: int, out: Connection) -> None:
    """The swarm's process: play the scenario at two in the afternoon, whatever the hour is."""
    now = datetime.now(UTC)
    offset_s = int((now.replace(hour=13, minute=0, second=0) - now).total_seconds())
    measuring = Measuring(mosquitto)
    total = run(
        Performance(home / "scenario.toml", url, home / "passwords.csv", home / "truth.jsonl", clock_offset_s=offset_s),
        screen=measuring,
    )
    marks = measuring.marks
    span = marks[-1][0] - marks[0][0] if marks else 0.0
    per_s = [(marks[-1][n] - marks[0][n]) / span for n in range(1, 5)] if span else [0.0] * 4
    out.send(
        {
            "all online, s": round(measuring.online_s, 1),
            "swarm, % of a core": round(100 * per_s[0], 1),
            "swarm, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "broker, % of a core": round(100 * per_s[1], 1),
            "samples and events sent, /s": round(per_s[2], 1),
            "acknowledged, /s": round(per_s[3], 1),
            "measured for, s": round(span, 1),
            "produced": total.produced,
            "not acknowledged at the end": total.left,
            "sent again": total.entries_sent_again,
            "connections lost": total.connections_lost,
        }
    )


def acknowledge(url: str) -> None:
    """The other end: acknowledge every sample and event to its terminal."""
    parts = urlsplit(url)
    numbers = msgspec.json.Decoder(_Numbers)

    def take(client: Client, _data: Any, message: MQTTMessage) -> None:
        terminal, _ = parse_topic(message.topic)
        told = numbers.decode(message.payload)
        seqs = [entry.seq for entry in (*told.samples, *told.events)]
        client.publish(topic(terminal, Channel.ACK), msgspec.json.encode(Ack(told.boot, [(seq, seq) for seq in seqs])))

    client = Client(CallbackAPIVersion.VERSION2, client_id="keeper", protocol=MQTTv5)
    client.username_pw_set(parts.username or "", parts.password)
    client.on_message = take
    client.on_connect = lambda *_: listen(client)
    client.connect(parts.hostname or "", parts.port or 0)
    client.loop_forever()


def listen(client: Client) -> None:
    """Subscribe to what is acknowledged."""
    client.subscribe([(topic("+", channel), SubscribeOptions(qos=1)) for channel in (Channel.TELEMETRY, Channel.EVENT)])


class _Numbered(msgspec.Struct):
    seq: int


class _Numbers(msgspec.Struct):
    boot: int
    samples: list[_Numbered] = []
    events: list[_Numbered] = []


def show(figures: dict[str, float], *, terminals: int) -> bool:
    """Print the figures; returns whether a bound was missed."""
    table = Table("figure", "measured", "bound", title=f"{terminals:,} simulated terminals")
    missed = not figures or bool(figures["not acknowledged at the end"])
    for name, value in figures.items():
        bound = BOUNDS.get(name)
        over = bound is not None and not 0 < value <= bound
        missed |= over
        table.add_row(name, f"{value:,g}", f"{bound:g}" if bound else "", style="red" if over else "")
    Console().print(table)
    return missed


if __name__ == "__main__":
    sys.exit(main())
