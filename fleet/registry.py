"""Looks things up in the registry: points of sale, their telephone numbers, their terminals.

The firmware of a terminal is what it last said it runs (its birth or its `reported`, whichever is younger); the registry's
own value serves until it has spoken.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row

from fleet.database import Connection

# What incidents are explained by.
DIMENSIONS = ("department", "region", "model", "hw", "firmware", "access", "carrier", "lot", "agency")

# What `terminals_after` filters by; names, never texts from outside, go into its query.
_FILTERS = {name: name for name in (*DIMENSIONS, "point_of_sale")}


@dataclass(frozen=True, slots=True)
class PointOfSale:
    """A shop; phones in E.164."""

    code: str
    name: str
    department: str
    region: str
    agency: str
    timezone: str
    opening_hours: str
    phones: list[str]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal with the dimensions of its shop."""

    id: str
    point_of_sale: str
    model: str
    hw: str
    firmware: str
    access: str
    carrier: str
    lot: str
    department: str
    region: str
    agency: str
    timezone: str
    opening_hours: str


_POINT = """
    SELECT s.code, s.name, s.department, s.region, s.agency, s.timezone, s.opening_hours,
        ARRAY(SELECT n.e164 FROM fleet.phone_number n WHERE n.point_of_sale = s.code ORDER BY 1) AS phones
    FROM fleet.point_of_sale s
"""
# What terminal `t` itself last said it runs, NULL until it has spoken; needs REPORTED_FROM.
REPORTED_FIRMWARE = "COALESCE(CASE WHEN r.received_at >= p.at THEN r.firmware END, p.firmware, r.firmware)"
REPORTED_FROM = "LEFT JOIN fleet.presence p ON p.terminal_id = t.id LEFT JOIN fleet.reported r ON r.terminal_id = t.id"
_TERMINAL = f"""
    SELECT t.id, t.point_of_sale, t.model, t.hw, COALESCE({REPORTED_FIRMWARE}, t.firmware) AS firmware,
        t.access, t.carrier, t.lot, s.department, s.region, s.agency, s.timezone, s.opening_hours
    FROM fleet.terminal t
    JOIN fleet.point_of_sale s ON s.code = t.point_of_sale
    {REPORTED_FROM}
"""


def find_points_of_sale(conn: Connection, *, phone: str) -> list[PointOfSale]:
    """The shops that have this number (E.164), by code; several may share one."""
    return _points(
        conn,
        _POINT + "WHERE s.code IN (SELECT point_of_sale FROM fleet.phone_number WHERE e164 = %(phone)s) ORDER BY s.code",
        {"phone": phone},
    )


def point_of_sale(conn: Connection, code: str) -> PointOfSale | None:
    """One shop, or None."""
    found = _points(conn, _POINT + "WHERE s.code = %(code)s", {"code": code})
    return found[0] if found else None


def points_of_sale(conn: Connection, codes: Sequence[str]) -> list[PointOfSale]:
    """These shops, by code; a code that is none is passed over."""
    return _points(conn, _POINT + "WHERE s.code = ANY(%(codes)s) ORDER BY s.code", {"codes": list(codes)})


def points_of_sale_after(conn: Connection, *, code: str, limit: int) -> list[PointOfSale]:
    """The shops that follow a code, by code: one page of all of them."""
    return _points(conn, _POINT + "WHERE s.code > %(code)s ORDER BY s.code LIMIT %(limit)s", {"code": code, "limit": limit})


def terminals_after(conn: Connection, *, terminal_id: str, limit: int, conditions: Mapping[str, str]) -> list[Terminal]:
    """The terminals that follow an id and meet every condition (a dimension, or `point_of_sale`, and its value), by id.

    Raises `KeyError` on a condition that is neither.
    """
    where = "".join(f" AND f.{_FILTERS[name]} = %({name})s" for name in conditions)
    return _terminals(
        conn,
        f"SELECT f.* FROM ({_TERMINAL}) f WHERE f.id > %(after)s{where} ORDER BY f.id LIMIT %(limit)s",
        {"after": terminal_id, "limit": limit, **conditions},
    )


def terminals_of(conn: Connection, *, points_of_sale: Sequence[str]) -> list[Terminal]:
    """The terminals of these shops, by shop and id."""
    return _terminals(
        conn,
        _TERMINAL + "WHERE t.point_of_sale = ANY(%(codes)s) ORDER BY t.point_of_sale, t.id",
        {"codes": list(points_of_sale)},
    )


def terminal(conn: Connection, terminal_id: str) -> Terminal | None:
    """One terminal, or None."""
    found = _terminals(conn, _TERMINAL + "WHERE t.id = %(id)s", {"id": terminal_id})
    return found[0] if found else None


def all_terminals(conn: Connection) -> list[Terminal]:
    """The whole fleet, by id."""
    return _terminals(conn, _TERMINAL + "ORDER BY t.id", {})


def called(conn: Connection, text: str) -> tuple[list[str], list[str]]:
    """The ids of terminals and the codes of shops that are exactly this, whatever the case."""
    if "\0" in text:
        return [], []
    rows = conn.execute(
        "SELECT id, NULL FROM fleet.terminal WHERE id = upper(%(text)s)"
        " UNION ALL SELECT NULL, code FROM fleet.point_of_sale WHERE lower(code) = lower(%(text)s)",
        {"text": text},
    ).fetchall()
    return [row[0] for row in rows if row[0] is not None], [row[1] for row in rows if row[1] is not None]


def search(conn: Connection, text: str, *, limit: int) -> list[PointOfSale]:
    """Shops for what a person typed: a shop's code, a part of its name, a terminal's id, or digits of its number.

    Exact hits come first. Case and accents do not matter; every word must be found in the name.
    """
    words = folded(text).split()
    if not words:
        return []
    digits = "".join(filter(str.isdigit, text))
    # Only what has no letters can be a telephone number; its national 0 is not part of the E.164 form.
    number = digits.removeprefix("0") if len(digits) >= 4 and not any(map(str.isalpha, text)) else ""
    start = _literal(" ".join(words))
    # Each way has its index, or a thousandth of a second for all names; joined by OR none of them would serve. The numbers of what
    # is shown are read, not those of all that was found.
    query = f"""
        {_POINT}
        JOIN (
            SELECT s.code, lower(s.code) <> %(exact)s AS not_exact FROM fleet.point_of_sale s JOIN (
                SELECT code FROM fleet.point_of_sale WHERE lower(code) LIKE %(code)s
                UNION SELECT code FROM fleet.point_of_sale WHERE folded_name LIKE ALL (%(words)s)
                UNION SELECT point_of_sale FROM fleet.terminal WHERE id LIKE %(terminal)s
                UNION SELECT point_of_sale FROM fleet.phone_number WHERE %(number)s <> '' AND e164 LIKE '%%' || %(number)s || '%%'
            ) hit ON hit.code = s.code
            ORDER BY 2, s.name, s.code LIMIT %(limit)s
        ) found ON found.code = s.code
        ORDER BY found.not_exact, s.name, s.code
    """
    parameters = {
        "exact": " ".join(words),
        "code": f"{start}%",
        "terminal": f"{start.upper()}%",
        "words": [f"%{_literal(word)}%" for word in words],
        "number": number,
        "limit": limit,
    }
    # Planned with the values at hand: an index of beginnings serves only where the beginning is known.
    with conn.cursor(row_factory=class_row(PointOfSale)) as cursor:
        return cursor.execute(query, parameters, prepare=False).fetchall()


def search_terminals(conn: Connection, text: str, *, limit: int) -> list[Terminal]:
    """Terminals for what a person typed: an id, its beginning (`T01`), or the digits it ends with (`12`); an exact one first."""
    typed = text.strip().upper()
    if typed.isascii() and typed.isdigit():
        pattern = f"T%{typed}"
    elif typed.startswith("T") and typed[1:].isascii() and typed[1:].isdigit():
        pattern = f"{typed}%"
    else:
        return []
    return _terminals(
        conn,
        f"{_TERMINAL} WHERE t.id LIKE %(pattern)s ORDER BY t.id NOT IN (%(typed)s, 'T' || lpad(%(typed)s, 5, '0')), t.id"
        " LIMIT %(limit)s",
        {"pattern": pattern, "typed": typed, "limit": limit},
    )


def folded(text: str) -> str:
    """The text in lower case without accents, the form in which names are compared."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


def _literal(text: str) -> str:
    """The text as a LIKE pattern that means itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _points(conn: Connection, query: str, parameters: dict[str, Any]) -> list[PointOfSale]:
    with conn.cursor(row_factory=class_row(PointOfSale)) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _terminals(conn: Connection, query: str, parameters: dict[str, Any]) -> list[Terminal]:
    with conn.cursor(row_factory=class_row(Terminal)) as cursor:
        return cursor.execute(query, parameters).fetchall()
