"""Two releases for 16,000 terminals that update themselves, live, in compressed time: `python -m benchmarks.rollout_live`.

Runs `vigie demo` on a quiet scenario and leads two campaigns by the commands that people use. A release that crashes goes first,
to the whole fleet: its gate has to halt it within its first waves, and no device may be offered it later than one poll
after. It is rolled back, and a good release follows, until it runs nearly everywhere. Meanwhile the pop of terminals that
were and were not updated is read by REST. At the end every reading of the gates is judged again, the audit is verified, and
what the simulator sent is held against what is stored.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.demonstration import Demonstration, demonstration
from benchmarks.engines import described
from benchmarks.processes import cpu_s, memory_mb
from firmware_rollout.policy import written
from fleet.database import Connection, connect
from vigie.demo import POLL_S
from vigie.demo_campaigns import COMPRESSED
from vigie.running import read_environment

SCENARIO: Final = """
name = "a release that crashes, and one that is good"
seed = 2026
terminals = {terminals}
start = "2026-11-26T14:00:00+01:00"
minutes = 90

[[release]]
version = "4.4.0"
effect = "crashes"

# The good one: some are slow, some claim what is not true, a few are lost as with every update.
[[release]]
version = "4.5.0"
effect = "slow"
fraction = 0.005

[[release]]
version = "4.5.0"
effect = "lies"
fraction = 0.002

[[release]]
version = "4.5.0"
effect = "off"
fraction = 0.0003

[[release]]
version = "4.5.0"
effect = "falls_back"
fraction = 0.0002

[[release]]
version = "4.5.0"
effect = "bricks"
fraction = 0.0005
"""
BAD, GOOD = "4.4.0", "4.5.0"
# So long the fleet lives before a campaign begins: the gate's marks are days worse than a shop's own past.
PAST_S = 150
HALT_WITHIN_S, REACH_WITHIN_S, FREE_WITHIN_S = 900, 2_400, 900
# Of the whole fleet: some terminals are off, bricked or lie.
REACHED = 0.98
# The bad one must not come farther than its second wave.
MOST_HARMED = 0.05
SIMULATOR_CORES = 0.5
_HOME = re.compile(r"VIGIE_STATE_DIR=(\S+)")
_CONSOLE = re.compile(r"console +(http\S+)")


class House:
    """The running demonstration, as an operator has it."""

    def __init__(self, running: Demonstration, folder: Path) -> None:
        words = "".join(running.words)
        home, console = _HOME.search(words), _CONSOLE.search(words)
        if home is None or console is None:
            raise SystemExit("the demonstration did not say where it lives")
        self.environment = {**os.environ, **read_environment(Path(home[1])), "COLUMNS": "200"}
        self.running, self.folder = running, folder
        self.conn: Connection = connect(self.environment["VIGIE_DATABASE_URL"], program="benchmark", autocommit=True)
        token = self.vigie("token", "add", "benchmark", "--purpose", "api").split()[-1]
        self._rest = httpx.Client(base_url=console[1], headers={"authorization": f"Bearer {token}"}, timeout=30)

    def vigie(self, *arguments: str) -> str:
        """Run a command; its words."""
        command = [sys.executable, "-m", "vigie", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        if done.returncode:
            raise SystemExit(f"vigie {' '.join(arguments)} failed: {done.stderr or done.stdout}")
        return done.stdout

    def one(self, query: str, **parameters: object) -> Any:
        """The first value of a query's first row."""
        row = self.conn.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None

    def pop(self, terminal: str) -> Mapping[str, Any]:
        """What a call shows of a terminal's rollout."""
        rollout: Mapping[str, Any] = self._rest.get(f"/api/v1/terminals/{terminal}").raise_for_status().json()["rollout"]
        return rollout

    def begin(self, name: str, release: str) -> None:
        """Draft a campaign for the whole fleet, and approve it as somebody else."""
        policy = self.folder / "policy.json"
        policy.write_text(written(COMPRESSED))
        self.vigie("campaign", "create", name, "--release", release, "--policy", str(policy), "--by", "one")
        self.vigie("campaign", "approve", name, "--by", "other")

    def state(self, name: str) -> str:
        """A campaign's state."""
        return str(self.one("SELECT state FROM firmware_rollout.campaign WHERE name = %(name)s", name=name))

    def states(self, name: str) -> dict[str, int]:
        """A campaign's terminals by state."""
        rows = self.conn.execute(
            "SELECT a.state, count(*) FROM firmware_rollout.assignment a JOIN firmware_rollout.campaign c ON c.id = a.campaign_id"
            " WHERE c.name = %(name)s GROUP BY 1",
            {"name": name},
        )
        return {str(state): int(count) for state, count in rows}

    def wait(self, what: str, until: Callable[[], bool], *, within_s: float) -> bool:
        """Wait for a condition, telling how it stands twice a minute; whether it came to hold."""
        deadline, told = time.monotonic() + within_s, 0.0
        while time.monotonic() < deadline and self.running.alive():
            if until():
                return True
            if time.monotonic() - told > 30:
                told = time.monotonic()
                rows = self.conn.execute("SELECT name, state FROM firmware_rollout.campaign ORDER BY id")
                stand = "; ".join(f"{name} {state} {self.states(name)}" for name, state in rows)
                sys.stderr.write(f"waiting until {what}: {stand}\n")
            time.sleep(2)
        return False


def main() -> int:
    """Run, measure, print; exit code 1 where a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=16_000)
    parser.add_argument("--minutes", type=float, default=60, help="at most")
    parser.add_argument("--only", choices=["bad", "good"], help="one of both")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-rollout-") as name:
        folder = Path(name)
        scenario = folder / "scenario.toml"
        scenario.write_text(SCENARIO.format(terminals=arguments.terminals))
        with demonstration(scenario, minutes=arguments.minutes) as running:
            running.wait_online()
            house = House(running, folder)
            time.sleep(PAST_S)
            meter = Meter(running)
            bad = lead_bad(house) if arguments.only != "good" else {}
            good = lead_good(house, arguments.terminals) if arguments.only != "bad" else {}
            cost = meter.read()
            led = [name for name, done in (("bad", bad), ("good", good)) if done]
            proof = {
                "replayed": {one: house.vigie("campaign", "replay", one).strip() for one in led},
                "audit": house.vigie("audit", "verify").strip(),
            }
            running.stop()
            whole, words = running.end()
    held = checks(arguments.terminals, bad, good, cost, whole)
    show(bad, good, cost, held)
    if not whole:
        sys.stderr.write(words)
    print(json.dumps({
        "benchmark": "rollout_live", "machine": described(), "terminals": arguments.terminals, "poll_s": POLL_S,
        "pace": COMPRESSED.pace,
        "bad": bad, "good": good, "cost": cost, "proof": proof, "held": held,
    }, default=str))  # fmt: skip
    return 0 if all(held.values()) else 1


def lead_bad(house: House) -> dict[str, Any]:
    """The release that crashes: until it is halted, and nobody is on their way."""
    began = time.monotonic()
    house.begin("bad", BAD)
    halted = house.wait("the bad release is halted", lambda: house.state("bad") == "halted", within_s=HALT_WITHIN_S)
    after_s = round(time.monotonic() - began)
    updated = house.one("SELECT min(terminal_id) FROM firmware_rollout.assignment WHERE treated_at IS NOT NULL")
    waiting = house.one("SELECT min(terminal_id) FROM firmware_rollout.assignment WHERE treated_at IS NULL AND state = 'planned'")
    pops = {"updated": dict(house.pop(updated)) if updated else {}, "waiting": dict(house.pop(waiting)) if waiting else {}}
    # One poll and more: whoever was offered it in time has fetched it by then.
    time.sleep(POLL_S + 15)
    offered = house.one(
        "SELECT max(extract(epoch FROM x.retrieved_at - c.state_since))::float FROM firmware_rollout.action x"
        " JOIN firmware_rollout.campaign c ON c.id = x.campaign_id WHERE c.name = 'bad'"
    )
    harmed = house.one("SELECT count(DISTINCT terminal_id) FROM firmware_rollout.action WHERE release = %(release)s", release=BAD)
    result = {
        "halted": halted,
        "halted_after_s": after_s,
        "reason": house.one("SELECT reason FROM firmware_rollout.campaign WHERE name = 'bad'"),
        "waves_begun": house.one("SELECT count(*) FROM firmware_rollout.wave WHERE opened_at IS NOT NULL"),
        "terminals_asked": harmed,
        "last_offer_after_halt_s": round(offered, 1) if offered is not None else None,
        "pops": pops,
    }
    began = time.monotonic()
    house.vigie("campaign", "roll-back", "bad", "--why", "it crashes", "--by", "other")
    house.wait("everybody is back", lambda: house.state("bad") == "rolled_back", within_s=FREE_WITHIN_S)
    runs = house.one("SELECT count(*) FROM fleet.presence WHERE firmware = %(release)s", release=BAD)
    return result | {"back_after_s": round(time.monotonic() - began), "still_run_it": runs, "states": house.states("bad")}


def lead_good(house: House, terminals: int) -> dict[str, Any]:
    """The good release: until it runs nearly everywhere."""
    began = time.monotonic()
    house.begin("good", GOOD)
    runs = "SELECT count(*) FROM fleet.presence WHERE firmware = %(version)s"
    house.wait("its second wave has begun", lambda: house.states("good").get("done", 0) > terminals * 0.01, within_s=REACH_WITHIN_S)
    of_good = "SELECT min(terminal_id) FROM firmware_rollout.assignment a JOIN firmware_rollout.campaign c ON c.id = a.campaign_id"
    updated = house.one(f"{of_good} WHERE c.name = 'good' AND a.state = 'done'")
    waiting = house.one(f"{of_good} WHERE c.name = 'good' AND a.state = 'planned'")
    pops = {"updated": dict(house.pop(updated)) if updated else {}, "waiting": dict(house.pop(waiting)) if waiting else {}}
    house.wait(
        "it runs nearly everywhere",
        lambda: house.one(runs, version=GOOD) >= REACHED * terminals or house.state("good") == "halted",
        within_s=REACH_WITHIN_S,
    )
    reached_s = round(time.monotonic() - began)
    # Who does not answer fails by its deadline; nobody is in progress for ever.
    house.wait("nobody is on the way", lambda: house.states("good").get("updating", 0) == 0, within_s=FREE_WITHIN_S)
    outcomes = house.conn.execute(
        "SELECT coalesce(x.outcome, x.state), count(*) FROM firmware_rollout.action x"
        " JOIN firmware_rollout.campaign c ON c.id = x.campaign_id WHERE c.name = 'good' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    done_without = house.one(
        "SELECT count(*) FROM firmware_rollout.assignment a JOIN firmware_rollout.campaign c ON c.id = a.campaign_id"
        " JOIN fleet.presence p ON p.terminal_id = a.terminal_id"
        " WHERE c.name = 'good' AND a.state = 'done' AND p.firmware <> %(version)s",
        version=GOOD,
    )
    return {
        "reached_after_s": reached_s,
        "runs_it": house.one(runs, version=GOOD),
        "state": house.state("good"),
        "reason": house.one("SELECT reason FROM firmware_rollout.campaign WHERE name = 'good'"),
        "states": house.states("good"),
        "outcomes": {str(outcome): int(count) for outcome, count in outcomes},
        "done_but_runs_other": done_without,
        "pops": pops,
    }


class Meter:
    """What the house's parts use from now on."""

    def __init__(self, running: Demonstration) -> None:
        self._running, self._began = running, time.monotonic()
        self._before = self._used()

    def read(self) -> dict[str, dict[str, float]]:
        """Cores on the average, and memory now, of each part."""
        span, now = time.monotonic() - self._began, self._used()
        parts = self._running.parts()
        return {
            part: {
                "cores": round((seconds - self._before.get(part, 0.0)) / span, 3),
                "mb": round(sum(memory_mb(pid) for pid in parts.get(part, []))),
            }
            for part, seconds in now.items()
        }

    def _used(self) -> dict[str, float]:
        used = {}
        for part, pids in self._running.parts().items():
            used[part] = sum(cpu_s(pid) for pid in pids if Path(f"/proc/{pid}").exists())
        return used


def checks(terminals: int, bad: dict[str, Any], good: dict[str, Any], cost: dict[str, Any], whole: bool) -> dict[str, bool]:
    """What has to hold."""
    held = {
        "the simulator keeps to half a core": cost.get("simulate", {}).get("cores", 1.0) <= SIMULATOR_CORES,
        "nothing sent is missing": whole,
    }
    if bad:
        last = bad["last_offer_after_halt_s"]
        held |= {
            "the bad release was halted": bool(bad["halted"]),
            "within its first waves": bad["terminals_asked"] <= MOST_HARMED * terminals * 1.2,
            "no offer later than one poll after the halt": last is not None and last <= POLL_S,
            "everybody who had it is back": bad["still_run_it"] == 0,
            "the bad one's pop says so": bad["pops"]["updated"].get("campaign") == "bad",
        }
    if good:
        held |= {
            "the good release runs nearly everywhere": good["runs_it"] >= REACHED * terminals,
            "nobody is done who runs another version": good["done_but_runs_other"] == 0,
            "nobody is in progress for ever": good["states"].get("updating", 0) == 0,
            "the good one's pop says so": good["pops"]["updated"].get("campaign") == "good",
        }
    return held


def show(bad: dict[str, Any], good: dict[str, Any], cost: dict[str, Any], held: dict[str, bool]) -> None:
    """The tables for people."""
    console = Console(stderr=True)
    table = Table(title=f"a bad and a good release, live, {datetime.now(UTC):%Y-%m-%d}", show_header=False)
    if bad:
        table.add_row("bad: halted after", f"{bad['halted_after_s']} s: {bad['reason']}")
        table.add_row("bad: terminals asked, waves begun", f"{bad['terminals_asked']}, {bad['waves_begun']}")
        table.add_row("bad: last offer after the halt", f"{bad['last_offer_after_halt_s']} s")
        table.add_row("bad: rolled back", f"after {bad['back_after_s']} s, {bad['still_run_it']} still run it; {bad['states']}")
    if good:
        table.add_row(
            "good: runs on",
            f"{good['runs_it']:,} after {good['reached_after_s']} s; {good['state']} {good['reason']} {good['states']}",
        )
        table.add_row("good: attempts", str(good["outcomes"]))
    for part, used in cost.items():
        table.add_row(f"{part}: cores, MB", f"{used['cores']}, {used['mb']:,.0f}")
    for words, is_so in held.items():
        table.add_row(words, "yes" if is_so else "[bold red]no[/]")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
