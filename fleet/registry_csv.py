"""Reads the registry's two CSV files and checks every line, so that an import is all or nothing and its faults are listed.

    points_of_sale.csv   code,name,department,region,agency,timezone,opening_hours,phones
    terminals.csv        terminal,point_of_sale,model,hw,firmware,access,carrier,lot

UTF-8 with or without a byte-order mark, comma or semicolon (the header decides), columns in any order, further columns
passed over. Several telephone numbers are separated by `|`. A problem names file, line, column and value, and says what
would be right; a warning does not stop the import.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from zoneinfo import available_timezones

from fleet.contract import is_terminal_id
from fleet.departments import REGION_OF, timezone_of
from fleet.errors import RegistryError
from fleet.numbering import to_e164
from fleet.opening_hours import OpeningHoursError, parse

POINT_COLUMNS = ("code", "name", "department", "region", "agency", "timezone", "opening_hours", "phones")
TERMINAL_COLUMNS = ("terminal", "point_of_sale", "model", "hw", "firmware", "access", "carrier", "lot")
# The values of the column's CHECK in the schema.
ACCESS_KINDS = ("adsl", "fibre", "4g", "5g", "satellite")

Row = TypeVar("Row")

LONGEST_VALUE = 200
_POINT_CODE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PointOfSaleRow:
    """One checked line of points_of_sale.csv; phones in E.164, each once."""

    code: str
    name: str
    department: str
    region: str
    agency: str
    timezone: str
    opening_hours: str
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """One checked line of terminals.csv."""

    terminal: str
    point_of_sale: str
    model: str
    hw: str
    firmware: str
    access: str
    carrier: str
    lot: str


@dataclass(frozen=True)
class RegistryFiles:
    """Both files, checked; `warnings` are for people to read and stop nothing."""

    points_of_sale: Sequence[PointOfSaleRow]
    terminals: Sequence[TerminalRow]
    warnings: Sequence[str]


@dataclass
class _Findings:
    """What is wrong in one file, and what only looks odd."""

    file: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, line: int, column: str, value: str, remedy: str) -> None:
        self.problems.append(self._text(line, column, value, remedy))

    def warn(self, line: int, column: str, value: str, remark: str) -> None:
        self.warnings.append(self._text(line, column, value, remark))

    def unreadable(self, line: int, text: str) -> None:
        self.problems.append(f"{self.file}, line {line}: {text}")

    def _text(self, line: int, column: str, value: str, remark: str) -> str:
        shown = value if len(value) <= 60 else value[:59] + "…"
        return f"{self.file}, line {line}, {column} {shown!r}: {remark}"


@dataclass(frozen=True)
class _Line:
    """One line's values by column, and its number in the file (the first line is 1)."""

    number: int
    values: Mapping[str, str]


def read_files(points_of_sale: Path, terminals: Path) -> RegistryFiles:
    """Read and check both files.

    Raises:
        RegistryError: lists every problem found in both.
    """
    return check(points_of_sale.name, _bytes(points_of_sale), terminals.name, _bytes(terminals))


def check(points_name: str, points: bytes, terminals_name: str, terminals: bytes) -> RegistryFiles:
    """Check the contents of both files; the names are only for the messages.

    Raises:
        RegistryError: lists every problem found in both.
    """
    of_points, of_terminals = _Findings(points_name), _Findings(terminals_name)
    point_lines = list(_lines(points, POINT_COLUMNS, of_points))
    terminal_lines = list(_lines(terminals, TERMINAL_COLUMNS, of_terminals))
    point_rows = _unique(point_lines, "code", of_points, lambda line: _point(line, of_points))
    terminal_rows = _unique(terminal_lines, "terminal", of_terminals, lambda line: _terminal(line, of_terminals))
    # A shop whose own line is wrong is known all the same: its terminals' lines are not wrong for that.
    _check_shops(point_lines, terminal_lines, of_points, of_terminals)
    problems = of_points.problems + of_terminals.problems
    if problems:
        raise RegistryError(problems)
    return RegistryFiles(point_rows, terminal_rows, of_points.warnings + of_terminals.warnings)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RegistryError([f"{file}: cannot be read: {error.strerror}"]) from None


def _lines(content: bytes, columns: tuple[str, ...], findings: _Findings) -> Iterator[_Line]:
    """The file's lines by column; what hinders reading it at all is a problem of the whole file."""
    text = _decode(content, findings)
    if text is None:
        return
    header = text.split("\n", 1)[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    first = 0
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if not _header_serves(names, columns, findings):
            return
        first = reader.line_num + 1
        for values in reader:
            number, first = first, reader.line_num + 1
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(names):
                remedy = f"has {len(values)} values, the header {len(names)}: quote a value that holds `{delimiter}`"
                findings.unreadable(number, remedy)
                continue
            line = _Line(number, {name: value.strip() for name, value in zip(names, values, strict=True)})
            if _plain(line, columns, findings):
                yield line
    except csv.Error as error:
        findings.unreadable(first, f"not CSV from here on ({error}): look for a quote that is not closed")


def _decode(content: bytes, findings: _Findings) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        findings.unreadable(line, "not UTF-8: save the file as `CSV UTF-8`")
        return None


def _header_serves(names: list[str], columns: tuple[str, ...], findings: _Findings) -> bool:
    missing = [column for column in columns if column not in names]
    double = sorted({name for name in names if names.count(name) > 1})
    if missing:
        findings.unreadable(1, f"column {', '.join(missing)} missing: the first line must name {','.join(columns)}")
    if double:
        findings.unreadable(1, f"column {', '.join(double)} is named twice")
    return not missing and not double


def _plain(line: _Line, columns: tuple[str, ...], findings: _Findings) -> bool:
    """Whether every value can be stored; each that is empty, too long or holds control characters is a problem."""
    fine = True
    for column in columns:
        value = line.values[column]
        if not value and column != "phones":
            findings.problem(line.number, column, value, "empty: every line needs it")
        elif len(value) > LONGEST_VALUE:
            findings.problem(line.number, column, value, f"longer than {LONGEST_VALUE} characters")
        elif not value.isprintable() and _CONTROL.search(value):
            findings.problem(line.number, column, value, "holds a control character or a line break: remove it")
        else:
            continue
        fine = False
    return fine


def _unique(lines: list[_Line], key: str, findings: _Findings, build: Callable[[_Line], Row]) -> list[Row]:
    """The rows of the lines; a key met before is a problem that names the first line."""
    first: dict[str, int] = {}
    rows = []
    for line in lines:
        value = line.values[key]
        if value in first:
            findings.problem(line.number, key, value, f"is already on line {first[value]}: each may stand once")
            continue
        first[value] = line.number
        rows.append(build(line))
    return rows


def _point(line: _Line, findings: _Findings) -> PointOfSaleRow:
    values = line.values
    department, region, zone = values["department"], values["region"], values["timezone"]
    if not _POINT_CODE.match(values["code"]):
        findings.problem(line.number, "code", values["code"], "is no code: 1 to 32 letters, digits, `-`, `_` or `.`")
    if department not in REGION_OF:
        remedy = "is no department: write its INSEE code, for instance 01, 59, 2A or 974"
        findings.problem(line.number, "department", department, remedy)
    elif region != REGION_OF[department]:
        remedy = f"is not the region of department {department}: write {REGION_OF[department]}"
        findings.problem(line.number, "region", region, remedy)
    if zone not in _timezones():
        remedy = f"is no time zone: write {timezone_of(department)}"
        findings.problem(line.number, "timezone", zone, remedy)
    elif department in REGION_OF and zone != timezone_of(department):
        findings.warn(line.number, "timezone", zone, f"department {department} keeps {timezone_of(department)}")
    try:
        parse(values["opening_hours"])
    except OpeningHoursError as error:
        findings.problem(line.number, "opening_hours", values["opening_hours"], str(error))
    return PointOfSaleRow(
        values["code"], values["name"], department, region, values["agency"], zone, values["opening_hours"], _phones(line, findings)
    )


def _phones(line: _Line, findings: _Findings) -> tuple[str, ...]:
    numbers: dict[str, None] = {}
    for text in filter(None, map(str.strip, line.values["phones"].split("|"))):
        number = to_e164(text)
        if number is None:
            remedy = "is no telephone number: write +33199001234 or 01 99 00 12 34, several separated by |"
            findings.problem(line.number, "phones", text, remedy)
        else:
            numbers[number] = None
    return tuple(numbers)


def _terminal(line: _Line, findings: _Findings) -> TerminalRow:
    row = TerminalRow(*(line.values[column] for column in TERMINAL_COLUMNS))
    if not is_terminal_id(row.terminal):
        findings.problem(line.number, "terminal", row.terminal, "is no terminal id: T and five digits, for instance T00012")
    if row.access not in ACCESS_KINDS:
        findings.problem(line.number, "access", row.access, f"is no access: write one of {', '.join(ACCESS_KINDS)}")
    return row


def _check_shops(points: list[_Line], terminals: list[_Line], of_points: _Findings, of_terminals: _Findings) -> None:
    known = {line.values["code"] for line in points}
    equipped = {line.values["point_of_sale"] for line in terminals}
    # Without a readable file of shops every terminal would be homeless: one fault must not be told 16,000 times.
    if known:
        for line in terminals:
            if (shop := line.values["point_of_sale"]) not in known:
                remedy = f"is no shop of {of_points.file}: add the shop or correct the code"
                of_terminals.problem(line.number, "point_of_sale", shop, remedy)
    for line in points:
        if line.values["code"] not in equipped:
            of_points.warn(line.number, "code", line.values["code"], f"has no terminal in {of_terminals.file}")


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())
