"""The terminals of the registry, numbered, and their topics looked up in one step."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fleet.contract import UPWARD, topic
from fleet.database import Connection

# A topic's code is the terminal's number times the number of channels, plus the channel's place here.
CHANNELS = UPWARD


class Terminals:
    """Known terminals; a number, once given, stays (a terminal that leaves the registry keeps it and its rights to be stored).

    The broker's accounts are made from the registry, so an unknown terminal is one that was imported after the last look:
    `missed` counts topics that were not found, so that the worker looks again.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._codes: dict[bytes, int] = {}
        self._names: list[str] = []
        self.names: NDArray[np.bytes_] = np.empty(0, "S6")
        self.missed = 0
        self.learn(names)

    def __len__(self) -> int:
        return len(self._names)

    def learn(self, names: Iterable[str]) -> int:
        """Number the terminals not seen before; returns how many those were."""
        before = len(self._names)
        for name in names:
            if topic(name, CHANNELS[0]).encode() in self._codes:
                continue
            number = len(self._names)
            self._names.append(name)
            for place, channel in enumerate(CHANNELS):
                self._codes[topic(name, channel).encode()] = number * len(CHANNELS) + place
        self.names = np.array(self._names, "S6")
        return len(self._names) - before

    def code_of(self, text: bytes) -> int:
        """The code of a topic, -1 where it is none of a known terminal's."""
        code = self._codes.get(text)
        if code is None:
            self.missed += 1
            return -1
        return code

    def name_of(self, number: int) -> str:
        """The terminal's id."""
        return self._names[number]


def registered(conn: Connection) -> list[str]:
    """Ids of every terminal of the registry."""
    return [row[0] for row in conn.execute("SELECT id FROM fleet.terminal ORDER BY id").fetchall()]
