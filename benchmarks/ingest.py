"""From MQTT to committed and acknowledged, against the limit and a rival in the same run: `python -m benchmarks.ingest`.

A publisher sends one sample of some 350 bytes a message at QoS 1, as fast as the broker takes them; broker, database and
publisher share the machine. `mosquitto_sub`, which throws everything away, is the limit; Node-RED (when npm is there)
stores in batches without durability. The rate is messages over the time from the first publish until the last is
committed (for `mosquitto_sub`: received). What is stored is counted, and compared with what was published. Other work
on the machine moves every figure, so the ratios within one round are what counts; `--rounds` gives their median.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.engines import LOAD_USER, Machine, described, machine
from benchmarks.peers import node_red
from benchmarks.processes import cpu_s
from benchmarks.publisher import connect as mqtt_connect
from fleet.contract import Channel, topic
from fleet.database import connect
from fleet.settings import read
from vigie.engines.layout import EngineSettings

RUN_TIMEOUT_S = 120.0
LIMIT, OURS, RIVAL = "mosquitto_sub, thrown away", "vigie ingest, committed and acknowledged", "Node-RED, batches of 1,000"
INGEST_CLIENT = "vigie-ingest"
BOUND_PER_S = 30_000

console = Console(stderr=True)


def main() -> int:
    """Run the rounds, print the table, write JSON to standard output; exit code 1 where the median misses a bound.

    A wrong answer ends the run at once.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000, help="of each run")
    parser.add_argument("--terminals", type=int, nargs="+", default=[1_000, 16_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-rival", action="store_true", help="leave Node-RED out")
    parser.add_argument("--quick", action="store_true", help="a look: one round of 100,000 messages, 1,000 terminals, no rival")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.messages, arguments.terminals, arguments.rounds, arguments.without_rival = 100_000, [1_000], 1, True
    rival = not arguments.without_rival and node_red.available()
    results = []
    for terminals in arguments.terminals:
        with machine(terminals=terminals) as running:
            for number in range(1, arguments.rounds + 1):
                console.print(f"{terminals:,} terminals, round {number} of {arguments.rounds}")
                results.append(play_round(running, messages=arguments.messages, terminals=terminals, boot=number, rival=rival))
    console.print(as_table(results))
    print(json.dumps({"machine": described(), "messages": arguments.messages, "rounds": results}, indent=1))
    return 0 if held(results) else 1


def held(results: list[dict[str, Any]]) -> bool:
    """Whether the median of the rounds reaches the bound, and is ahead of the rival where it ran."""
    ours = statistics.median(one["rates"][OURS] for one in results)
    against = [one["rates"][OURS] / one["rates"][RIVAL] for one in results if RIVAL in one["rates"]]
    return ours >= BOUND_PER_S and (not against or statistics.median(against) > 1)


def play_round(running: Machine, *, messages: int, terminals: int, boot: int, rival: bool) -> dict[str, Any]:
    """Measure each once, one after the other on the same engines."""
    load = {"messages": messages, "terminals": terminals, "boot": boot}
    rates = {LIMIT: measure_limit(running, **load), OURS: measure_ours(running, **load)}
    if rival:
        rates[RIVAL] = measure_rival(running, **load)
    for name, rate in rates.items():
        console.print(f"  {name}: {rate:,.0f}/s, {rate / rates[LIMIT]:.2f} of the limit")
    return {"terminals": terminals, "rates": rates}


def measure_limit(running: Machine, *, messages: int, terminals: int, boot: int) -> float:
    """How fast the broker hands messages to a subscriber that does nothing with them."""
    services, name = running.mosquitto.services, topic("+", Channel.TELEMETRY)
    account = ["-h", services.host, "-p", str(services.port), "-u", LOAD_USER, "-P", running.passwords[LOAD_USER]]
    options = ["-V", "5", "-D", "connect", "receive-maximum", "65535", "-q", "1", "-i", "limit", "-C", str(messages)]
    with publisher(running, messages=messages, terminals=terminals, boot=boot) as publish:
        subscriber = subprocess.Popen([running.layout.mosquitto_sub, *account, *options, "-t", name], stdout=subprocess.DEVNULL)
        time.sleep(1)
        publish.start()
        subscriber.wait(RUN_TIMEOUT_S)
        return messages / (time.monotonic() - publish.began())


def measure_ours(running: Machine, *, messages: int, terminals: int, boot: int) -> float:
    """How fast `vigie ingest` commits; every sample published must be stored, and none twice."""
    query = "SELECT coalesce(sum(messages), 0), coalesce(sum(samples), 0) FROM fleet.ingest_batch"
    with (
        publisher(running, messages=messages, terminals=terminals, boot=boot) as publish,
        connect(running.postgres.url, program="benchmark", autocommit=True) as conn,
        running.ingest() as process,
    ):
        before = conn.execute(query).fetchone() or (0, 0)
        listening(running)
        parts = running.parts(process.pid)
        used = {name: sum(map(cpu_s, pids)) for name, pids in parts.items()}
        publish.start()
        wait_for(lambda: (conn.execute(query).fetchone() or before)[0] - before[0] >= messages)
        rate = messages / (time.monotonic() - publish.began())
        for name, pids in parts.items():
            spent_us = (sum(map(cpu_s, pids)) - used[name]) / messages * 1e6
            console.print(f"  {name} used {spent_us:.1f} µs of a core for each message")
        after = conn.execute(query).fetchone() or before
        stored = conn.execute("SELECT count(*) FROM fleet.sample WHERE boot = %(boot)s", {"boot": boot}).fetchone()
    forget_session(running)
    if after[1] - before[1] != messages or stored is None or stored[0] != messages:
        raise SystemExit(f"published {messages}, stored {stored} in batches of {after[1] - before[1]}: the figures mean nothing")
    return rate


def measure_rival(running: Machine, *, messages: int, terminals: int, boot: int) -> float:
    """How fast Node-RED's batches are in the table."""
    modules = node_red.install(read(EngineSettings).cache() / "benchmark-node")
    node_red.create_table(running.postgres.url)
    account = {"user": LOAD_USER, "password": running.passwords[LOAD_USER]}
    with (
        publisher(running, messages=messages, terminals=terminals, boot=boot) as publish,
        connect(running.postgres.url, program="benchmark", autocommit=True) as conn,
        node_red.running(
            modules, running.home / "node-red", database_url=running.postgres.url, mosquitto=running.mosquitto, **account
        ),
    ):
        publish.start()
        # Counting costs the database: not before the publisher has done its part.
        began = publish.began()
        whole = messages // node_red.BATCH * node_red.BATCH
        wait_for(lambda: (conn.execute(f"SELECT count(*) FROM {node_red.TABLE}").fetchone() or (0,))[0] >= whole)
        return messages / (time.monotonic() - began)


class Publisher:
    """A publisher process that has encoded its packets and waits for the start."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self) -> None:
        """Let it publish."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def began(self) -> float:
        """When it sent its first packet; waits until the broker has acknowledged its last."""
        assert self._process.stdout is not None
        return float(json.loads(self._process.stdout.readline())["began"])


@contextlib.contextmanager
def publisher(running: Machine, *, messages: int, terminals: int, boot: int, rate: float = 0.0) -> Iterator[Publisher]:
    """A publisher that is ready; it is stopped at the end."""
    options = ["--messages", str(messages), "--terminals", str(terminals), "--boot", str(boot), "--rate", str(rate)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.publisher", running.mqtt(LOAD_USER), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield Publisher(process)
    finally:
        process.kill()
        process.wait()


def listening(running: Machine) -> None:
    """Wait until the ingest that was started last is subscribed."""
    wait_for(lambda: "subscribed as" in running.ingest_log())


def forget_session(running: Machine) -> None:
    """End the ingest's session, or the broker would go on keeping messages for it while others are measured."""
    mqtt_connect(running.mqtt("vigie-ingest"), client_id=INGEST_CLIENT).close()


def wait_for(condition: Callable[[], bool], *, timeout_s: float = RUN_TIMEOUT_S, pause_s: float = 0.05) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("a run did not end in time")
        time.sleep(pause_s)


def as_table(results: list[dict[str, Any]]) -> Table:
    facts = described()
    table = Table(title=f"Ingest · {facts['date']} · {facts['cores']} cores, {facts['cpu']}")
    for column in ("terminals", "from MQTT", "messages/s (median)", "of the limit (median)", "of Node-RED (median)"):
        table.add_column(column, justify="left" if column == "from MQTT" else "right")
    for terminals in dict.fromkeys(result["terminals"] for result in results):
        rounds = [result["rates"] for result in results if result["terminals"] == terminals]
        for name in rounds[0]:
            against = [rates[name] / rates[RIVAL] for rates in rounds if RIVAL in rates]
            table.add_row(
                f"{terminals:,}",
                name,
                f"{statistics.median(rates[name] for rates in rounds):,.0f}",
                f"{statistics.median(rates[name] / rates[LIMIT] for rates in rounds):.2f}",
                f"{statistics.median(against):.2f}" if against else "not measured",
            )
    return table


if __name__ == "__main__":
    sys.exit(main())
