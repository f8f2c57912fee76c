"""From publish to visible in the database at the fleet's rate, and what that costs: `python -m benchmarks.latency`.

16,000 terminals at a 30 s cadence are 533 messages a second, one sample each, stamped when they are sent. A reader looks every few
milliseconds which batches have become visible; a sample's latency is that moment less its stamp. The processor time of
ingest, broker and database is read over the same span.
"""

import argparse
import json
import sys
import time

import numpy as np
from rich.console import Console

from benchmarks.engines import Machine, described, machine
from benchmarks.ingest import forget_session, listening, publisher
from benchmarks.processes import cpu_s
from fleet import feed
from fleet.database import connect

FLEET, CADENCE_S = 16_000, 30
LOOK_EVERY_S = 0.01
BOUND_P99_S = 2.0


def main() -> int:
    """Publish at the fleet's rate, watch the commits, print the figures; exit code 1 where p99 is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=float, default=FLEET / CADENCE_S)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with machine(terminals=FLEET) as running:
        result = measure(running, messages=int(arguments.seconds * arguments.rate), rate=arguments.rate)
    console.print(result)
    print(json.dumps({"machine": described(), **result}, indent=1))
    return 0 if result["p99_ms"] <= BOUND_P99_S * 1000 else 1


def measure(running: Machine, *, messages: int, rate: float) -> dict[str, float]:
    """Milliseconds from publish to visible, and the processor's time in percent of one core."""
    latencies: list[np.ndarray] = []
    with (
        publisher(running, messages=messages, terminals=FLEET, boot=1, rate=rate) as publish,
        connect(running.postgres.url, program="benchmark", autocommit=True) as conn,
        running.ingest() as process,
    ):
        listening(running)
        watched = running.parts(process.pid)
        watched["postgres"].remove(conn.info.backend_pid)
        before = {name: sum(map(cpu_s, pids)) for name, pids in watched.items()}
        batch_id, seen, began = 0, 0, time.monotonic()
        publish.start()
        while seen < messages and time.monotonic() - began < messages / rate + 30:
            if feed.last_batch(conn) > batch_id:
                visible_ms = time.time_ns() / 1e6
                got = feed.read_since(conn, batch_id=batch_id)
                batch_id, seen = got.batch_id, seen + len(got.samples)
                latencies.append(visible_ms - got.samples["at"])
            time.sleep(LOOK_EVERY_S)
        elapsed = time.monotonic() - began
        cost = {name: (sum(map(cpu_s, pids)) - before[name]) / elapsed * 100 for name, pids in watched.items()}
    forget_session(running)
    if seen != messages:
        raise SystemExit(f"published {messages}, seen {seen}: the figures mean nothing")
    all_ms = np.concatenate(latencies)
    p50, p99 = np.percentile(all_ms, [50, 99])
    return {
        "messages": messages,
        "messages_per_s": round(rate, 1),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "max_ms": round(float(all_ms.max()), 1),
        **{f"{name}_percent_of_a_core": round(percent, 1) for name, percent in cost.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
