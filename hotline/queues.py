"""What the telephone system's queues stand for: which level waits behind them, on which floor."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline.floors import Floor


class QueueError(VigieError):
    """A queue cannot be changed so: the text says why."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, by the name the telephone system gives it."""

    name: str
    level: int = 1
    floor: Floor = Floor.OWN

    def __post_init__(self) -> None:
        object.__setattr__(self, "floor", Floor(self.floor))


def queues(conn: Connection) -> Mapping[str, Queue]:
    """Every known queue by its name."""
    with conn.cursor(row_factory=class_row(Queue)) as cursor:
        found = cursor.execute("SELECT name, level, floor FROM hotline.queue ORDER BY name").fetchall()
    return {queue.name: queue for queue in found}


def set_queue(conn: Connection, *, name: str, level: int, floor: Floor) -> None:
    """Say what a queue stands for, from now on: legs that were stored stay as they are."""
    if not name.strip():
        raise QueueError("a queue has a name")
    if level not in (1, 2):
        raise QueueError(f"a queue's level is 1 or 2, not {level}")
    conn.execute(
        "INSERT INTO hotline.queue (name, level, floor) VALUES (%(name)s, %(level)s, %(floor)s)"
        " ON CONFLICT (name) DO UPDATE SET level = excluded.level, floor = excluded.floor",
        {"name": name.strip(), "level": level, "floor": floor},
    )


def remove_queue(conn: Connection, *, name: str) -> None:
    """Forget a queue: it counts as level 1 of our own floor again; `QueueError` where there is none of that name."""
    if conn.execute("DELETE FROM hotline.queue WHERE name = %(name)s", {"name": name}).rowcount == 0:
        raise QueueError(f"no queue named {name}")
