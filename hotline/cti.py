"""Reads what a telephone system posts to the call hook: Zammad's generic CTI form, as real bridges send it.

Bridges differ: JSON or a form, `callId`, `call_id` or `callid`, one user or several, `user` or `user[]`, numbers left
out of all but the first event. Whatever can be understood is; what cannot names its field and is never an inner error.
"""

from collections.abc import Mapping, Sequence

from fleet.errors import VigieError
from hotline.call_events import CallEvent, Direction, Happening

MAX_TEXT = 250
MAX_USERS = 100


# Case and underscores do not count in names: `call_id` is `callId`.
# Every event that is none of these three changes nothing but what is not known yet.
_KINDS = {"newcall": Happening.RANG, "answer": Happening.CONNECTED, "hangup": Happening.ENDED}
_DIRECTIONS: dict[str, Direction] = {
    "in": "in",
    "inbound": "in",
    "incoming": "in",
    "out": "out",
    "outbound": "out",
    "outgoing": "out",
}


class CtiError(VigieError):
    """An event that cannot be understood; `field` is its name in Zammad's form, `detail` what is wrong with it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


def parse_event(fields: Mapping[str, object]) -> CallEvent:
    """Read one posted event; `CtiError` names the field that cannot be read."""
    flat = _normalise(fields)
    name = _text(flat, "event", "event")
    if not name:
        raise CtiError("event", "missing: newCall, answer or hangup")
    call_id = _text(flat, "callid", "callId")
    if not call_id:
        raise CtiError("callId", "missing: the telephone system's id of the call")
    direction = _text(flat, "direction", "direction").lower()
    if direction and direction not in _DIRECTIONS:
        raise CtiError("direction", f"neither in nor out: {direction[:40]!r}")
    kind = _KINDS.get(_plain(name), Happening.DETAILS)
    users = _users(flat.get("user"))
    # Who answers is told by its own field or as the only user.
    answering = _text(flat, "answeringnumber", "answeringNumber") or (users[0] if len(users) == 1 else "")
    return CallEvent(
        kind=kind,
        call_id=call_id,
        name=name,
        direction=_DIRECTIONS.get(direction),
        from_number=_text(flat, "from", "from"),
        to_number=_text(flat, "to", "to"),
        users=users,
        agent=answering if kind is Happening.CONNECTED else "",
        queue=_text(flat, "queue", "queue"),
        cause=_text(flat, "cause", "cause"),
    )


def _plain(name: str) -> str:
    return name.strip().replace("_", "").replace("-", "").removesuffix("[]").lower()


def _normalise(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields by plain name; where two spellings come together, the one that says something counts."""
    flat: dict[str, object] = {}
    for name, value in fields.items():
        key = _plain(name)
        if flat.get(key) in (None, "", [], ()):
            flat[key] = value
    return flat


def _text(flat: Mapping[str, object], key: str, field: str) -> str:
    """A field as text; a list counts by its first element, since forms repeat names."""
    value = flat.get(key)
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise CtiError(field, "must be text")
    text = str(value).strip()
    if len(text) > MAX_TEXT:
        raise CtiError(field, f"longer than {MAX_TEXT} characters")
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise CtiError(field, "has a character that cannot be stored")
    return text


def _users(value: object) -> tuple[str, ...]:
    """The users, each once and in order; a lone text is one user."""
    if value is None:
        return ()
    items: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    if len(items) > MAX_USERS:
        raise CtiError("user", f"more than {MAX_USERS} users")
    names = (_text({"user": item}, "user", "user") for item in items)
    return tuple(dict.fromkeys(name for name in names if name))
