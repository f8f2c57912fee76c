"""The articles that Vigie comes with: added once, and left to people from then on."""

import importlib.resources
import tomllib
from datetime import datetime
from typing import Any, Final

from diagnostics.typography import typeset
from diagnostics.typologies import store
from fleet.database import Connection
from hotline.knowledge.articles import LANGUAGES, Draft, write
from hotline.qualification import Subject

DELIVERY_ACTOR: Final = "Vigie"
# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0074


def delivered() -> dict[str, tuple[Draft, list[str]]]:
    """Each delivered article by its code, with the codes of the typologies it helps with."""
    text = (importlib.resources.files(__package__) / "delivered.toml").read_text(encoding="utf-8")
    return {entry["code"]: (_read(entry), entry["typologies"]) for entry in tomllib.loads(text)["article"]}


def deliver(conn: Connection, *, now: datetime) -> int:
    """Add the delivered articles that were never there, and the typologies they help with; returns how many were added."""
    # Of two programs that start together one adds, and the other finds them there.
    conn.execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": LOCK})
    store.deliver(conn, now=now)
    by_code = {one.code: one.id for one in store.typologies(conn, states=("known", "dismissed", "merged"))}
    there = {row[0] for row in conn.execute("SELECT code FROM hotline.article WHERE code IS NOT NULL").fetchall()}
    missing = {code: found for code, found in delivered().items() if code not in there}
    for code, (draft, codes) in missing.items():
        linked = Draft(draft.subject, draft.title, draft.body, [by_code[one] for one in codes])
        write(conn, linked, author=DELIVERY_ACTOR, now=now, code=code)
    return len(missing)


def _read(entry: dict[str, Any]) -> Draft:
    title, body = ({one: typeset(entry[f"{field}_{one}"].strip(), one) for one in LANGUAGES} for field in ("title", "body"))
    return Draft(Subject(entry["subject"]), title, body)
