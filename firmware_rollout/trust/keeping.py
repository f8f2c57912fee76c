"""Keeps releases' short-lived metadata signed, for a program that looks every few seconds, and tells how long it is good."""

import logging
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from firmware_rollout.trust.metadata_store import newest
from firmware_rollout.trust.online import renew
from fleet.database import Connection
from fleet.errors import VigieError

log = logging.getLogger(__name__)


class MetadataMetrics:
    """What is told to Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        self.left = Gauge("vigie_rollout_metadata_left_seconds", "How long releases' metadata is good.", ["role"], registry=into)
        self.unsigned = Counter("vigie_rollout_unsigned", "Times releases' metadata could not be signed.", registry=into)


def keep_signed(conn: Connection, *, keys: str, now: datetime, metrics: MetadataMetrics) -> None:
    """Sign releases' metadata where it is due; without keys (empty) another machine does. Opens its own transaction.

    What cannot be signed is told, and stops nothing else: devices install nothing new once it expires.
    """
    try:
        with conn.transaction():
            if keys:
                renew(conn, keys=Path(keys), now=now)
            held = newest(conn)
    except VigieError as error:
        metrics.unsigned.inc()
        log.error("releases' metadata is not signed: %s", error, extra={"action": "renew"})
        return
    for role, one in held.items():
        metrics.left.labels(role).set((one.expires_at - now).total_seconds())
