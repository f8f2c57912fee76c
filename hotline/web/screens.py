"""An open console as the hub keeps it: whose it is, what is still to be sent to it, and which calls it shows."""

import asyncio
import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from hotline.accounts import Agent
from hotline.masking import Onlooker
from hotline.stored_call import StoredCall, finishing_left

# A screen that has not read this many messages is cut; its browser comes back and is told the state anew.
MOST_UNREAD = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """A call as screens show it: its pop by who looks, for those it stands before."""

    call: StoredCall
    fragments: dict[Onlooker, str]

    def messages(self, *, now: datetime) -> "dict[Onlooker, Message]":
        """What screens are sent, made once for all that look alike."""
        call = self.call
        told = {
            "call": call.id,
            "version": call.version,
            "state": call.state,
            # Who has the call or is to finish the work after it, and how long an ended one still comes to a page of theirs.
            "handling": call.handling,
            "left_s": finishing_left(call, now=now).total_seconds(),
        }
        return {
            onlooker: Message("pop", json.dumps({**told, "html": html}), id=f"{call.id}-{call.version}")
            for onlooker, html in self.fragments.items()
        }


# For whom a call is to be rendered; asked in the thread that has read it.
Wanted = Callable[[StoredCall], Collection[Onlooker]]


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the stream."""

    event: str
    data: str
    id: str = ""

    def encode(self) -> bytes:
        """As the event stream's format has it; our data never holds a line break."""
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.event}\ndata: {self.data}\n\n".encode()


@dataclass(eq=False, slots=True)
class Screen:
    """One open console: whose, as whom it looks, what is still to be sent, and which calls it shows since which telling."""

    agent: Agent
    onlooker: Onlooker
    unread: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(MOST_UNREAD + 1))
    shows: dict[int, int] = field(default_factory=dict)

    def put(self, message: Message) -> None:
        """Queue a message; one too many ends the stream."""
        if self.unread.qsize() >= MOST_UNREAD:
            self.close()
        else:
            self.unread.put_nowait(message)

    def close(self) -> None:
        """End the stream after what is queued; its browser comes back and is told the state."""
        with suppress(asyncio.QueueFull):
            self.unread.put_nowait(None)
