"""The retained topic: the state of each incident that lives, as JSON; empty once it is over.

Whoever subscribes knows at once what is going on, without a database and without history.
"""

from typing import Final

import msgspec

from diagnostics.notices.body import Body
from diagnostics.notices.policy import ENDS, Event
from diagnostics.notices.queue import ATTEMPT_TIMEOUT_S
from diagnostics.notices.sending import Failed, Outcome, Parcel, Sent
from fleet.broker_link import BrokerLink
from fleet.clock import to_ms
from fleet.contract import IncidentState, incident_topic

CHANNEL: Final = "mqtt"
_ENDS: Final = frozenset({*ENDS, Event.MUTED})


def payload(body: Body) -> bytes:
    """What the topic holds after this notice: the incident's state, or nothing once it is over."""
    incident = body.incident
    if incident is None or incident.state == "closed" or body.kind in _ENDS:
        return b""
    return msgspec.json.encode(
        IncidentState(
            id=incident.id,
            state=incident.state,
            trouble=incident.trouble,
            scope=incident.scope,
            title_fr=incident.title.fr,
            title_en=incident.title.en,
            began_at=to_ms(incident.began_at),
            opened_at=to_ms(incident.opened_at),
            at=to_ms(body.at),
            terminals=incident.terminals,
            hits=incident.hits,
            flapping=incident.flapping,
            children=[child.id for child in incident.children],
        )
    )


class Retained:
    """The topics of all incidents at one broker; it connects with the first notice and stays."""

    def __init__(self, url: str, *, ca_file: str = "") -> None:
        self._url, self._ca_file = url, ca_file
        self._link: BrokerLink | None = None

    def send(self, parcel: Parcel) -> Outcome:
        """Publish the incident's state at QoS 1, retained; the broker's acknowledgement is what counts."""
        if self._link is None:
            self._link = BrokerLink(self._url, ca_file=self._ca_file, timeout_s=ATTEMPT_TIMEOUT_S)
        body = parcel.body
        error = self._link.ready()
        # A test proves that the broker lets us in; it has no topic.
        if not error and body.incident is not None:
            error = self._link.publish(incident_topic(body.incident.id), payload(body), retain=True).error
        if not error:
            return Sent()
        # With its queue: what was not acknowledged is published again by us, in order, and by nobody else.
        self.close()
        return Failed(error)

    def close(self) -> None:
        """Leave the broker; what it holds stays."""
        if self._link is not None:
            self._link.close()
        self._link = None
