"""A simulated fleet's messages as ingest would have stored them, without broker and without waiting: for what reads the feed.

feed = StoredFeed(load(path), starts_s=…)
register(conn, feed.world)
feed.store(conn, until_s=…)      # rows of samples, events, presence and calls, in batches, ten seconds each
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Observed
from diagnostics.snapshot import EVENTS
from fleet.clock import from_ms
from fleet.contract import SAMPLE_FIELDS, EventCode
from fleet.database import Connection
from simulators.callers import plan_calls
from simulators.population import Population
from simulators.scenario import Scenario
from simulators.world import World, build_world
from vigie.evaluate.uplink import Heard, Uplink, signalled

STEP_S: Final = 10
# So many transactions of ingest lie in one step.
BATCHES: Final = 4
_PG_EPOCH_US: Final = 946_684_800_000_000
_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        ("at_len", ">i4"),
        ("at", ">i8"),
        ("received_at_len", ">i4"),
        ("received_at", ">i8"),
        ("boot_len", ">i4"),
        ("boot", ">i8"),
        ("seq_len", ">i4"),
        ("seq", ">i8"),
        ("terminal_len", ">i4"),
        ("terminal", "S6"),
        ("values", [("len", ">i4"), ("value", ">f4")], (len(SAMPLE_FIELDS),)),
    ]
)


class StoredFeed:
    """One scenario, lived through from `starts_s` on and stored as it goes."""

    def __init__(self, scenario: Scenario, *, starts_s: int, world: World | None = None) -> None:
        self.world = world or build_world(scenario.seed, scenario.terminals)
        self.population = Population(self.world, scenario, starts_s=starts_s)
        plan = plan_calls(self.world, scenario, start_s=starts_s, minutes=(scenario.end_s - starts_s) / 60)
        self._uplink = Uplink(self.population, signalled(self.world, plan))
        self.at_s = starts_s
        self._calls = 0
        self._ids: NDArray[np.bytes_] = np.array(self.world.ids, dtype="S6")

    def store(self, conn: Connection, *, until_s: int) -> int:
        """Live on, and store what was heard by `until_s`; returns the samples. For a connection in autocommit."""
        samples = 0
        while self.at_s < until_s:
            heard = self._uplink.step(self.at_s, self.at_s + STEP_S)
            self.at_s += STEP_S
            with conn.transaction():
                self._presence(conn, heard)
                self._rang(conn, heard.seen)
            self._said(conn, heard.seen)
            samples += len(heard.seen.rows)
        return samples

    def _said(self, conn: Connection, seen: Observed) -> None:
        """Samples and events, in some transactions of ingest that follow each other closely."""
        for batch in range(BATCHES):
            received_ms = self.at_s * 1000 - 900 + 100 * batch
            rows = slice(batch, None, BATCHES)
            events = np.arange(len(seen.event_rows))[rows]
            with conn.transaction():
                drawn = conn.execute("SELECT fleet.open_batch()").fetchone()
                self._copy_samples(conn, seen, rows, received_ms)
                with conn.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO fleet.event (at, received_at, boot, seq, terminal_id, code, detail)"
                        " VALUES (%s, %s, 1, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        [self._event(seen, int(event), received_ms) for event in events],
                    )
                at_ms = np.concatenate([seen.at_ms[rows], seen.event_at_ms[rows]])
                conn.execute(
                    "INSERT INTO fleet.ingest_batch"
                    " (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters, at_min, at_max)"
                    " VALUES (%(id)s, pg_current_xact_id(), 'stored', %(received)s, %(n)s, %(n)s, %(events)s, 0, 0,"
                    " %(min)s, %(max)s)",
                    {
                        "id": drawn[0] if drawn else None,
                        "received": from_ms(received_ms),
                        "n": len(seen.rows[rows]),
                        "events": len(events),
                        "min": from_ms(int(at_ms.min())) if len(at_ms) else None,
                        "max": from_ms(int(at_ms.max())) if len(at_ms) else None,
                    },
                )

    def _copy_samples(self, conn: Connection, seen: Observed, rows: slice, received_ms: int) -> None:
        at_ms = seen.at_ms[rows]
        if not len(at_ms):
            return
        out = np.zeros(len(at_ms), _ROW)
        out["fields"] = 5 + len(SAMPLE_FIELDS)
        for name, length in (("at", 8), ("received_at", 8), ("boot", 8), ("seq", 8), ("terminal", 6)):
            out[f"{name}_len"] = length
        out["at"] = at_ms * 1000 - _PG_EPOCH_US
        out["received_at"] = received_ms * 1000 - _PG_EPOCH_US
        out["boot"] = 1
        # What an outage held back was taken at other moments.
        out["seq"] = at_ms // 1000
        out["terminal"] = self._ids[seen.rows[rows]]
        out["values"]["len"] = 4
        out["values"]["value"] = seen.values[rows]
        columns = "at, received_at, boot, seq, terminal_id, " + ", ".join(SAMPLE_FIELDS)
        with conn.cursor() as cursor, cursor.copy(f"COPY fleet.sample ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(_HEADER + out.tobytes() + b"\xff\xff")

    def _event(self, seen: Observed, event: int, received_ms: int) -> tuple[object, ...]:
        code = EVENTS[int(seen.event_codes[event])]
        detail = ("expected" if seen.event_expected[event] else "unexpected") if code is EventCode.REBOOT else ""
        at_ms = int(seen.event_at_ms[event])
        return from_ms(at_ms), from_ms(received_ms), at_ms // 1000, self.world.ids[int(seen.event_rows[event])], code.value, detail

    def _presence(self, conn: Connection, heard: Heard) -> None:
        if not len(heard.presence_rows):
            return
        parameters = {
            "ids": [self.world.ids[row] for row in heard.presence_rows.tolist()],
            "online": heard.presence_online.tolist(),
            "at": [from_ms(ms) for ms in heard.presence_ms.tolist()],
        }
        conn.execute(
            "INSERT INTO fleet.presence (terminal_id, online, session, changed_at)"
            " SELECT id, online, 1, at FROM unnest(%(ids)s::text[], %(online)s::bool[], %(at)s::timestamptz[]) p (id, online, at)"
            " ON CONFLICT (terminal_id) DO UPDATE SET online = excluded.online, changed_at = excluded.changed_at",
            parameters,
        )
        conn.execute(
            "INSERT INTO fleet.presence_change (terminal_id, online, session, changed_at)"
            " SELECT id, online, 1, at FROM unnest(%(ids)s::text[], %(online)s::bool[], %(at)s::timestamptz[]) p (id, online, at)",
            parameters,
        )

    def _rang(self, conn: Connection, seen: Observed) -> None:
        for shop, at_ms in zip(seen.calls.shop.tolist(), seen.calls.at_ms.tolist(), strict=True):
            self._calls += 1
            terminals = [self.world.ids[row] for row in np.flatnonzero(self.world.shop == shop).tolist()]
            conn.execute(
                "INSERT INTO fleet.signal (at, terminal_id, kind, ref) SELECT %(at)s, unnest(%(ids)s::text[]), 'call', %(ref)s",
                {"at": from_ms(at_ms), "ids": terminals, "ref": str(self._calls)},
            )


def register(conn: Connection, world: World) -> None:
    """Put a simulated world's shops and terminals into the registry."""
    of_shop = ["code", "name", "department", "region", "agency", "timezone", "opening_hours"]
    of_terminal = ["point_of_sale", "model", "hw", "firmware", "access", "carrier", "lot"]
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy(f"COPY fleet.point_of_sale ({', '.join(of_shop)}) FROM STDIN") as copy:
            for shop in world.shops[of_shop].itertuples(index=False):
                copy.write_row(shop)
        with cursor.copy(f"COPY fleet.terminal (id, {', '.join(of_terminal)}, password_hash) FROM STDIN") as copy:
            for terminal in world.terminals[["terminal", *of_terminal]].itertuples(index=False):
                copy.write_row((*terminal, "x"))
