"""Stores a checked registry: what is new or changed, in a handful of statements, in the caller's transaction.

What the files no longer name is kept and reported: a line lost in somebody's spreadsheet must not forget a terminal.
A new terminal gets a broker password; it leaves here in the clear once, and stands in the database only hashed.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

from psycopg import sql
from psycopg.rows import scalar_row

from fleet.broker_access import hash_terminal_password, new_password
from fleet.database import Connection
from fleet.registry_csv import POINT_COLUMNS, TERMINAL_COLUMNS, PointOfSaleRow, TerminalRow

# Two imports at once would each report the other's rows as their own; the key is arbitrary, but ours alone.
_LOCK = 0x7661_6769_0001
_POINT_STORED = POINT_COLUMNS[:-1]
_TERMINAL_STORED = ("id", *TERMINAL_COLUMNS[1:])

Step = Callable[[str], None]


@dataclass(frozen=True)
class Changes:
    """How many lines were new, changed or as before; `absent` are in the database but not in the file."""

    added: int
    changed: int
    unchanged: int
    absent: list[str]


@dataclass(frozen=True)
class Imported:
    """What an import did; `passwords` are the new terminals' own, in the clear."""

    points_of_sale: Changes
    terminals: Changes
    removed: bool
    passwords: dict[str, str]


def import_registry(
    conn: Connection,
    *,
    points_of_sale: Sequence[PointOfSaleRow],
    terminals: Sequence[TerminalRow],
    remove_absent: bool = False,
    on_step: Step = lambda _: None,
) -> Imported:
    """Bring the registry to what the files say; the caller commits, after it has put the passwords somewhere safe.

    Args:
        conn: in the caller's transaction.
        points_of_sale: checked rows.
        terminals: checked rows; each one's shop is among `points_of_sale`.
        remove_absent: forget the terminals and shops that the files do not name (what they said is kept).
        on_step: told the next step, for a progress display.
    """
    conn.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": _LOCK})
    on_step("reading in")
    _copy_points(conn, points_of_sale)
    _copy_terminals(conn, terminals)
    on_step("making passwords")
    passwords = _copy_passwords(conn)
    on_step("points of sale")
    points_changed = _store_points(conn)
    on_step("terminals")
    terminals_changed = _store_terminals(conn)
    if remove_absent:
        on_step("removing what is absent")
        conn.execute("DELETE FROM fleet.terminal WHERE id = ANY(%(ids)s)", {"ids": terminals_changed.absent})
        conn.execute("DELETE FROM fleet.point_of_sale WHERE code = ANY(%(codes)s)", {"codes": points_changed.absent})
    return Imported(points_changed, terminals_changed, remove_absent, passwords)


def _copy_points(conn: Connection, rows: Sequence[PointOfSaleRow]) -> None:
    conn.execute("DROP TABLE IF EXISTS pg_temp.new_point, pg_temp.new_phone")
    conn.execute("CREATE TEMP TABLE new_point (LIKE fleet.point_of_sale INCLUDING INDEXES) ON COMMIT DROP")
    conn.execute("CREATE TEMP TABLE new_phone (LIKE fleet.phone_number INCLUDING INDEXES) ON COMMIT DROP")
    with conn.cursor() as cursor:
        # What the database makes of a shop's name is a plain column here, and stays empty.
        with cursor.copy(sql.SQL("COPY new_point ({}) FROM STDIN").format(_names(_POINT_STORED))) as copy:
            for row in rows:
                copy.write_row(astuple(row)[:-1])
        with cursor.copy("COPY new_phone FROM STDIN") as copy:
            for row in rows:
                for phone in row.phones:
                    copy.write_row((phone, row.code))
    conn.execute("ANALYZE new_point, new_phone")


def _copy_terminals(conn: Connection, rows: Sequence[TerminalRow]) -> None:
    conn.execute("DROP TABLE IF EXISTS pg_temp.new_terminal")
    conn.execute("CREATE TEMP TABLE new_terminal (LIKE fleet.terminal INCLUDING INDEXES) ON COMMIT DROP")
    conn.execute("ALTER TABLE new_terminal ALTER password_hash DROP NOT NULL")
    copying = sql.SQL("COPY new_terminal ({}) FROM STDIN").format(_names(_TERMINAL_STORED))
    with conn.cursor() as cursor, cursor.copy(copying) as copy:
        for row in rows:
            copy.write_row(astuple(row))
    conn.execute("ANALYZE new_terminal")


def _copy_passwords(conn: Connection) -> dict[str, str]:
    """Give each terminal that the registry does not know a password; returns them by terminal."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("SELECT id FROM new_terminal WHERE id NOT IN (SELECT id FROM fleet.terminal) ORDER BY id")
        passwords = {terminal: new_password() for terminal in cursor.fetchall()}
    conn.execute("DROP TABLE IF EXISTS pg_temp.new_password")
    conn.execute("CREATE TEMP TABLE new_password (id text PRIMARY KEY, hash text NOT NULL) ON COMMIT DROP")
    with conn.cursor() as cursor, cursor.copy("COPY new_password FROM STDIN") as copy:
        for terminal, password in passwords.items():
            copy.write_row((terminal, hash_terminal_password(password)))
    return passwords


def _store_points(conn: Connection) -> Changes:
    changed = _different(conn, "point_of_sale", "new_point", "code", _POINT_STORED)
    # A shop whose numbers alone changed is changed too; a new shop's numbers do not count twice.
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(
            """
            SELECT DISTINCT COALESCE(old.point_of_sale, new.point_of_sale)
            FROM (SELECT n.* FROM fleet.phone_number n JOIN new_point p ON p.code = n.point_of_sale) old
            FULL JOIN new_phone new USING (e164, point_of_sale)
            WHERE (old.e164 IS NULL OR new.e164 IS NULL)
                AND COALESCE(old.point_of_sale, new.point_of_sale) IN (SELECT code FROM fleet.point_of_sale)
            """
        )
        changed |= set(cursor.fetchall())
    absent = _absent(conn, "point_of_sale", "new_point", "code")
    added, total = _upsert(conn, "point_of_sale", "new_point", "code", _POINT_STORED)
    conn.execute(
        """
        DELETE FROM fleet.phone_number old USING new_point p
        WHERE p.code = old.point_of_sale
            AND NOT EXISTS (SELECT FROM new_phone new WHERE (new.e164, new.point_of_sale) = (old.e164, old.point_of_sale))
        """
    )
    conn.execute("INSERT INTO fleet.phone_number SELECT e164, point_of_sale FROM new_phone ON CONFLICT DO NOTHING")
    return Changes(added, len(changed), total - added - len(changed), absent)


def _store_terminals(conn: Connection) -> Changes:
    changed = _different(conn, "terminal", "new_terminal", "id", _TERMINAL_STORED)
    absent = _absent(conn, "terminal", "new_terminal", "id")
    # Known terminals keep their password.
    conn.execute("UPDATE new_terminal new SET password_hash = p.hash FROM new_password p WHERE p.id = new.id")
    conn.execute("UPDATE new_terminal new SET password_hash = t.password_hash FROM fleet.terminal t WHERE t.id = new.id")
    added, total = _upsert(conn, "terminal", "new_terminal", "id", (*_TERMINAL_STORED, "password_hash"))
    return Changes(added, len(changed), total - added - len(changed), absent)


def _different(conn: Connection, table: str, new: str, key: str, columns: tuple[str, ...]) -> set[str]:
    """The keys whose row exists already, but otherwise."""
    query = sql.SQL(
        "SELECT new.{key} FROM {new} new JOIN fleet.{table} old USING ({key}) WHERE ({a}) IS DISTINCT FROM ({b})"
    ).format(
        key=sql.Identifier(key),
        new=sql.Identifier(new),
        table=sql.Identifier(table),
        a=_list("new", columns),
        b=_list("old", columns),
    )
    with conn.cursor(row_factory=scalar_row) as cursor:
        return set(cursor.execute(query).fetchall())


def _absent(conn: Connection, table: str, new: str, key: str) -> list[str]:
    """The keys that the database knows and the file does not."""
    query = sql.SQL("SELECT {key} FROM fleet.{table} WHERE {key} NOT IN (SELECT {key} FROM {new}) ORDER BY 1").format(
        key=sql.Identifier(key), new=sql.Identifier(new), table=sql.Identifier(table)
    )
    with conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query).fetchall()


def _upsert(conn: Connection, table: str, new: str, key: str, columns: tuple[str, ...]) -> tuple[int, int]:
    """Store new and changed rows; returns how many keys are new, and how many rows the file has."""
    names = {"key": sql.Identifier(key), "new": sql.Identifier(new), "table": sql.Identifier(table)}
    count = sql.SQL("SELECT count(*) FILTER (WHERE {key} NOT IN (SELECT {key} FROM fleet.{table})), count(*) FROM {new}").format(
        **names
    )
    counts = conn.execute(count).fetchone()
    conn.execute(
        sql.SQL(
            "INSERT INTO fleet.{table} AS old ({columns}) SELECT {columns} FROM {new} ON CONFLICT ({key}) DO UPDATE"
            " SET ({columns}) = ({excluded}) WHERE ({before}) IS DISTINCT FROM ({excluded})"
        ).format(
            columns=_names(columns),
            excluded=_list("excluded", columns),
            before=_list("old", columns),
            **names,
        )
    )
    return (int(counts[0]), int(counts[1])) if counts else (0, 0)


def _names(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _list(table: str, columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, column) for column in columns)
