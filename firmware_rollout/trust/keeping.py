"""Keeps releases' short-lived metadata signed, for a program that looks every few seconds, and tells how long it is good."""

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from firmware_rollout.trust.metadata_store import Stored, newest
from firmware_rollout.trust.online import renew
from fleet.database import Connection
from fleet.errors import VigieError

log = logging.getLogger(__name__)


# Without a fresh one of both, terminals believe nothing.
_FRESH: Final = ("snapshot", "timestamp")


class MetadataMetrics:
    """What is told to Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        self.left = Gauge("vigie_rollout_metadata_left_seconds", "How long releases' metadata is good.", ["role"], registry=into)
        self.unsigned = Counter("vigie_rollout_unsigned", "Looks that found releases' metadata unsigned or stale.", registry=into)


def keep_signed(conn: Connection, *, keys: str, now: datetime, metrics: MetadataMetrics) -> None:
    """Sign releases' metadata where it is due; without keys (empty) another machine does. Opens its own transaction.

    What cannot be signed is told, and stops nothing else: devices install nothing new once it expires. So is what nobody has
    signed in time, whoever should have.
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
    if stale := _stale(held, now=now):
        metrics.unsigned.inc()
        words = "terminals install nothing, for want of a fresh %s: no program signs it with the keys of VIGIE_RELEASE_KEYS"
        log.error(words, stale, extra={"action": "renew"})
    for role, one in held.items():
        metrics.left.labels(role).set((one.expires_at - now).total_seconds())


def _stale(held: Mapping[str, Stored], *, now: datetime) -> str:
    """The roles without a fresh word, where there are releases at all; empty: every one has."""
    if "targets" not in held:
        return ""
    return " and ".join(role for role in _FRESH if role not in held or held[role].expires_at <= now)
