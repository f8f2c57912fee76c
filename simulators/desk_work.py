"""What simulated agents do by REST when a call is over: they note what it was about, and say how it ended."""

import logging
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

# Of calls that were qualified: two in three are solved on the line.
_OUTCOMES = ("solved",) * 13 + ("escalated",) * 4 + ("field_visit",) * 3
# After the end of a call, seconds. People have long enough to do it themselves.
WRAP_UP_S, PERSON_S = 20.0, 180.0
# One call in so many is never qualified: agents forget.
_FORGOTTEN = 12

logger = logging.getLogger(__name__)


class DeskWork(NamedTuple):
    """Where agents keep what a call was about: the house's address, and a token that may handle calls.

    Agents named in `people` are not simulated.
    """

    url: str
    token: str
    people: frozenset[str] = frozenset()

    def takes_s(self, agent: str) -> float:
        """How long after the call this agent is done."""
        return PERSON_S if agent in self.people else WRAP_UP_S

    def after(self, client: httpx.Client, call_id: str, caller: str, subject: str, words: str) -> "Counter[str]":
        """Note and qualify a call that the telephone system names so; what gets lost is an agent's who forgot.

        Returns how many were done, as `note`, `qualification`, and those refused.
        """
        done: Counter[str] = Counter()
        try:
            if words:
                answer = client.send(self.note(call_id, words))
                done["note" if answer.is_success else "note refused"] += 1
            spread = sum(call_id.encode()) + 7 * len(words)
            # Only by its number is a call found again; one in twenty withholds it.
            if caller.startswith("+") and spread % _FORGOTTEN and (known := self._find(client, call_id, caller)):
                outcome = _OUTCOMES[spread % len(_OUTCOMES)]
                answer = client.send(self._request("PUT", f"calls/{known}/qualification", {"subject": subject, "outcome": outcome}))
                done["qualification" if answer.is_success else "qualification refused"] += 1
        except httpx.HTTPError as error:
            logger.debug("a call's note was not taken: %s", type(error).__name__, extra={"action": "note"})
        return done

    def note(self, call_id: str, text: str) -> httpx.Request:
        """The note of a call."""
        return self._request("PUT", f"exchange-calls/{quote(call_id, safe='')}/note", {"text": text})

    def _find(self, client: httpx.Client, call_id: str, caller: str) -> int | None:
        """The console's number of a call."""
        answer = client.send(self._request("GET", f"calls?limit=5&phone={quote(caller, safe='')}"))
        if not answer.is_success:
            return None
        return next((one["id"] for one in answer.json()["items"] if one["call_id"] == call_id), None)

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Request:
        return httpx.Request(method, f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"}, json=body)
