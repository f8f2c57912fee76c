"""What web processes tell each other's screens about agents' work: small notices that the event stream passes on as they are."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from fleet.database import Connection
from hotline.roles import Role

# The channel's payload is JSON: for whom (agents' ids, roles), and the data of one `work` event of the stream.
CHANNEL: Final = "vigie_work"


def tell(conn: Connection, data: Mapping[str, Any], *, agents: Collection[int] = (), roles: Collection[Role] = ()) -> None:
    """Have every open screen of these agents, and of everyone in these roles, told when the caller commits."""
    payload = json.dumps({"agents": sorted(agents), "roles": sorted(roles), "data": dict(data)})
    conn.execute("SELECT pg_notify(%(channel)s, %(payload)s)", {"channel": CHANNEL, "payload": payload})
