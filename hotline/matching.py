"""Whose call it is: which of our agents the telephone system means, and on whose screens a call stands. Pure."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from hotline.accounts import Agent
from hotline.call_state import State
from hotline.roles import ANSWERING
from hotline.stored_call import StoredCall, finishing_left, is_live


def agents_meant(names: Iterable[str], agents: Sequence[Agent]) -> list[int]:
    """Ids of the agents that these names, logins, extensions or addresses stand for, each once, in order of the names."""
    known: dict[str, int] = {}
    for agent in agents:
        for key in (agent.name, agent.login, agent.extension):
            if key:
                known.setdefault(_fold(key), agent.id)
    found = (known.get(form) for name in names for form in _forms(name))
    return list(dict.fromkeys(agent_id for agent_id in found if agent_id is not None))


def sees(call: StoredCall, agent: Agent, *, now: datetime) -> bool:
    """Whether the call stands on this agent's screens.

    Rings: the agents at whose phone it rings now, where its source tells so; else the agents called, else everyone who
    answers. Answered: who has it or has not finished the work after it, and whom it rings to be passed on (nobody, where
    that is no agent of ours); where the telephone system does not say who, those it rang for, since a call too many is
    better than none. Ended: who answered, to finish the work.
    """
    if call.state is State.ENDED:
        return agent.id == call.answered_by or agent.id in call.handling
    if not is_live(call, now=now):
        return False
    if agent.id in (*call.handling, *call.ringing) or call.offers or call.handling:
        return agent.id in (*call.handling, *call.ringing)
    if call.state is State.ANSWERED and (call.answered_by is not None or call.answered_as):
        return call.answered_by == agent.id
    if call.called:
        return agent.id in call.called
    return call.direction != "out" and agent.role in ANSWERING


def comes_to(call: StoredCall, agent: Agent, *, now: datetime) -> bool:
    """Whether the call comes to a screen of this agent that does not show it yet: an ended one only to who is to finish it."""
    if call.state is State.ENDED:
        return agent.id in call.handling and finishing_left(call, now=now) > timedelta(0)
    return sees(call, agent, now=now)


def _forms(name: str) -> list[str]:
    """How a user may be written: whole, `Martin, Alice`, `login@host`, `sip:42@host`, several in one text."""
    whole = name.strip().strip("[]").strip()
    address = whole.split(":", 1)[-1].split("@", 1)[0].split(";", 1)[0]
    parts = [part.strip() for part in whole.split(",")]
    turned = " ".join(reversed(parts)) if len(parts) == 2 else ""
    return [_fold(form) for form in dict.fromkeys((whole, address, turned, *parts)) if form]


# The same few hundred names come with every event.
@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    """Without case, accents and repeated spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())
