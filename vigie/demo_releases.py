"""The demonstration's releases: made, signed by keys of its own on throw-away data, and added as a real maker's would be."""

import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from tuf.api.metadata import Root

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.release_deeds import take_in, trust
from firmware_rollout.trust import signing
from firmware_rollout.trust.keys import ROOT_FILE, make_keys, parsed, signers_of
from firmware_rollout.trust.online import renew
from fleet.database import Connection
from fleet.registry import all_terminals

# Small enough for 16,000 downloads on one machine.
FILE_BYTES: Final = 64 * 1024
TARGETS_FILE: Final = "targets.json"
# Who is written down in the audit.
ACTOR: Final = "vigie demo"


def add_releases(
    conn: Connection,
    store: ArtifactStore,
    releases: Sequence[tuple[str, tuple[str, ...], str]],
    *,
    home: Path,
    online: Path,
    now: datetime,
) -> Path:
    """Make keys in `home`, trust their root, and add each release (version, models, notes); Vigie's own keys go to `online`.

    What was signed is kept beside them, as a maker keeps it.

    Returns the file of the root, which terminals have built in.
    """
    root = make_keys(home / "keys", now=now)
    (home / "keys/online").rename(online)
    trust(conn, root, actor=ACTOR, now=now)
    signers = signers_of(home / "keys", parsed(Root, root, "root").signed, "targets")
    hw = sorted({terminal.hw for terminal in all_terminals(conn)})
    signed: bytes | None = None
    for version, models, notes in releases:
        file = home / f"vigie-terminal-{version}.swu"
        file.write_bytes(random.Random(version).randbytes(FILE_BYTES))
        facts = signing.describe(file, version=version, models=list(models), hw=hw, notes=notes)
        signed = signing.sign_release(facts, root=root, signers=signers, before=signed, now=now).body
        take_in(conn, store, file=file, targets=signed, actor=ACTOR, now=now)
    if signed is not None:
        # For whoever signs a further release by hand.
        (home / TARGETS_FILE).write_bytes(signed)
    renew(conn, keys=online, now=now)
    return online / ROOT_FILE
