"""The words in which the console speaks of terminals: states, reasons with their figures, roles, what a sample says.

Texts are English msgids, marked for extraction here and translated where they are shown.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from babel.numbers import format_decimal

from diagnostics.health import ReasonNow
from diagnostics.reasons import REASON_OF_TROUBLE, Reason, State
from diagnostics.symptom_store import Symptom
from diagnostics.troubles import Trouble
from fleet.contract import EventCode
from hotline.call_state import State as CallState
from hotline.roles import Role
from hotline.translations import mark as _

Translate = Callable[[str], str]
# A narrow space that does not break keeps a figure and its unit together.
NNBSP: Final = "\u202f"

STATES: Final[Mapping[State, str]] = {
    State.OK: _("working"),
    State.DEGRADED: _("degraded"),
    State.DOWN: _("down"),
    State.CLOSED: _("closed"),
    State.UNKNOWN: _("unknown"),
}

REASONS: Final[Mapping[Reason, str]] = {
    Reason.NOT_WATCHED: _("not judged any more: Vigie's watch has stopped"),
    Reason.TELEMETRY_LATE: _("telemetry is late on our side"),
    Reason.NEVER_SEEN: _("never heard of since it was registered"),
    Reason.STALE: _("nothing recent heard"),
    Reason.OFFLINE: _("not connected"),
    Reason.SILENT: _("connected but sends nothing: frozen"),
    Reason.PAPER_OUT: _("out of paper"),
    Reason.OVERHEATING: _("overheating"),
    Reason.HEAD_HOT: _("print head too hot"),
    Reason.DISK_LOW: _("storage nearly full"),
    Reason.CLOCK_OFF: _("clock is wrong"),
    Reason.NO_SALES: _("connected but sells nothing: the application hangs"),
    Reason.NETWORK_BAD: _("network much worse than usual"),
    Reason.RADIO_WEAK: _("radio signal much weaker than usual"),
    Reason.TX_FAILING: _("bets without an answer, or refused"),
    Reason.TX_SLOW: _("bets take much longer than usual"),
    Reason.PRINTER_FAILING: _("the printer fails again and again"),
    Reason.SCANNER_FAILING: _("slips are badly read"),
    Reason.CRASH_LOOP: _("the betting application crashes again and again"),
    Reason.RUNNING_HOT: _("much warmer than usual"),
    Reason.MEMORY_FALLING: _("memory running out"),
    Reason.DISK_FILLING: _("storage filling up"),
    Reason.CLOCK_DRIFTING: _("clock drifting"),
    Reason.CRASHED: _("the betting application crashed"),
    Reason.READER_FAIL: _("card reader failed"),
    Reason.SCANNER_FAIL: _("slip scanner failed"),
    Reason.PAPER_JAM: _("paper jam"),
    Reason.PAPER_LOW: _("paper low"),
    Reason.CLOSED_BY_SHOP: _("closed by the shopkeeper"),
    Reason.CLOSED: _("outside opening hours"),
}

CALL_STATES: Final[Mapping[CallState, str]] = {
    CallState.RINGING: _("ringing"),
    CallState.ANSWERED: _("answered"),
    CallState.ENDED: _("ended"),
}

ROLES: Final[Mapping[Role, str]] = {
    Role.LEVEL1: _("level 1"),
    Role.LEVEL2: _("level 2"),
    Role.SUPERVISOR: _("supervisor"),
    Role.VEILLE: _("watch"),
    Role.DSI: _("IT department"),
    Role.ROLLOUT_MANAGER: _("rollout manager"),
    Role.ADMINISTRATOR: _("administrator"),
}

ACCESS: Final[Mapping[str, str]] = {
    "adsl": "ADSL",
    "fibre": _("fibre"),
    "4g": "4G",
    "5g": "5G",
    "satellite": _("satellite"),
}

DIMENSIONS: Final[Mapping[str, str]] = {
    "department": _("department"),
    "region": _("region"),
    "model": _("model"),
    "hw": _("hardware"),
    "firmware": _("firmware"),
    "access": _("access"),
    "carrier": _("carrier"),
    "lot": _("lot"),
    "agency": _("agency"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """How one field of a sample is shown."""

    label: str
    unit: str = ""
    decimals: int = 0
    # The ones an agent reads first, shown on a call; the others on the terminal's page.
    key: bool = False


FIGURES: Final[Mapping[str, Figure]] = {
    "tickets": Figure(_("bets sold"), key=True),
    "rejects": Figure(_("bets refused")),
    "tx_ms": Figure(_("bet transaction"), "ms", key=True),
    "tx_timeouts": Figure(_("transactions without answer"), key=True),
    "rtt_ms": Figure(_("network round trip"), "ms", key=True),
    "loss_pct": Figure(_("packets lost"), "%", 1, key=True),
    "signal_dbm": Figure(_("radio signal"), "dBm", key=True),
    "print_errors": Figure(_("printer errors"), key=True),
    "paper_pct": Figure(_("paper left"), "%", key=True),
    "head_c": Figure(_("print head"), "°C"),
    "scans": Figure(_("slips read")),
    "scan_errors": Figure(_("slips not read"), key=True),
    "cpu_pct": Figure(_("processor"), "%"),
    "mem_mb": Figure(_("memory free"), "MB"),
    "disk_mb": Figure(_("storage free"), "MB"),
    "board_c": Figure(_("board"), "°C"),
    "clock_ms": Figure(_("clock offset"), "ms"),
    "uptime_s": Figure(_("running for"), "s"),
}

# The unit of the value a reason may carry.
_REASON_UNITS: Final[Mapping[Reason, str]] = {
    Reason.PAPER_OUT: "%",
    Reason.PAPER_LOW: "%",
    Reason.OVERHEATING: "°C",
    Reason.HEAD_HOT: "°C",
    Reason.DISK_LOW: "MB",
    Reason.CLOCK_OFF: "ms",
    Reason.NO_SALES: "min",
    Reason.NETWORK_BAD: "ms",
    Reason.RADIO_WEAK: "dBm",
    Reason.TX_FAILING: "%",
    Reason.TX_SLOW: "ms",
    Reason.PRINTER_FAILING: "",
    Reason.SCANNER_FAILING: "%",
    Reason.CRASH_LOOP: "",
    Reason.RUNNING_HOT: "°C",
    Reason.MEMORY_FALLING: "MB",
    Reason.DISK_FILLING: "MB",
    Reason.CLOCK_DRIFTING: "ms",
}

# What a figure says of its reason, where the figure alone would not be understood.
_REASON_FIGURES: Final[Mapping[Reason, str]] = {
    Reason.NO_SALES: _("for %(figure)s"),
    Reason.NETWORK_BAD: _("round trip %(figure)s"),
    Reason.TX_FAILING: _("%(figure)s of bets"),
    Reason.TX_SLOW: _("%(figure)s a bet"),
    Reason.PRINTER_FAILING: _("errors in an hour: %(figure)s"),
    Reason.SCANNER_FAILING: _("%(figure)s of slips"),
    Reason.CRASH_LOOP: _("in half an hour: %(figure)s"),
    Reason.MEMORY_FALLING: _("%(figure)s left"),
    Reason.DISK_FILLING: _("%(figure)s left"),
}

# The figure that shows what a reason says, marked among the others.
_BLAMED: Final[Mapping[Reason, str]] = {
    Reason.PAPER_OUT: "paper_pct",
    Reason.PAPER_LOW: "paper_pct",
    Reason.OVERHEATING: "board_c",
    Reason.HEAD_HOT: "head_c",
    Reason.DISK_LOW: "disk_mb",
    Reason.CLOCK_OFF: "clock_ms",
    Reason.NO_SALES: "tickets",
    Reason.NETWORK_BAD: "rtt_ms",
    Reason.RADIO_WEAK: "signal_dbm",
    Reason.TX_FAILING: "tx_timeouts",
    Reason.TX_SLOW: "tx_ms",
    Reason.PRINTER_FAILING: "print_errors",
    Reason.SCANNER_FAILING: "scan_errors",
    Reason.RUNNING_HOT: "board_c",
    Reason.MEMORY_FALLING: "mem_mb",
    Reason.DISK_FILLING: "disk_mb",
    Reason.CLOCK_DRIFTING: "clock_ms",
}


def blamed_figures(reasons: Iterable[ReasonNow]) -> frozenset[str]:
    """Fields of a sample that these reasons are about."""
    return frozenset(_BLAMED[reason.code] for reason in reasons if reason.code in _BLAMED)


def quantity(value: float, unit: str, *, decimals: int, language: str) -> str:
    """A figure with its unit, as the language writes it."""
    units = {"MB": "Mo"} if language == "fr" else {}
    if unit == "ms" and abs(value) >= 10_000:
        value, unit, decimals = value / 1000, "s", 0
    pattern = "#,##0" + ("." + "#" * decimals if decimals else "")
    number = format_decimal(round(value, decimals) + 0.0, format=pattern, locale=language)
    return f"{number}{NNBSP}{units.get(unit, unit)}" if unit else number


def reason_text(code: str, value: float | None, *, translate: Translate, language: str) -> str:
    """A reason in words, with its figure where it has one; a code this release does not know is shown as it is."""
    try:
        reason = Reason(code)
    except ValueError:
        return code
    words = translate(REASONS[reason])
    unit = _REASON_UNITS.get(reason)
    if value is None or unit is None:
        return words
    figure = quantity(value, unit, decimals=0, language=language)
    said = _REASON_FIGURES.get(reason)
    return f"{words} ({translate(said) % {'figure': figure} if said else figure})"


# What a terminal reports of itself; a code this release does not know is shown as it is.
EVENTS: Final[Mapping[str, str]] = {
    EventCode.PAPER_OUT: _("no paper left"),
    EventCode.PAPER_JAM: _("paper jam"),
    EventCode.COVER_OPEN: _("cover opened"),
    EventCode.SCANNER_FAIL: _("slip scanner failed"),
    EventCode.READER_FAIL: _("card reader failed"),
    EventCode.POWER_LOSS: _("power lost"),
    EventCode.REBOOT: _("restarted"),
    EventCode.APP_CRASH: _("the betting application crashed"),
    EventCode.NET_FAILOVER: _("switched to the spare network"),
    EventCode.TAMPER: _("opened or moved by force"),
    EventCode.OPEN: _("day opened by the shopkeeper"),
    EventCode.CLOSE: _("day closed by the shopkeeper"),
}
# An event's detail, as terminals write it: whether it was meant to be, and why.
_MEANT: Final[Mapping[str, str]] = {"expected": _("as planned"), "unexpected": _("unplanned")}
_EVENT_CAUSES: Final[Mapping[str, str]] = {
    "update": _("update"),
    "service": _("service"),
    "maintenance": _("maintenance"),
    "first start": _("first start"),
    "application crash": _("application crash"),
    "power loss": _("power loss"),
    "watchdog": _("watchdog"),
    "switched off": _("switched off"),
}
_MEANT_AND_WHY: Final = _("%(how)s: %(what)s")


def event_detail(detail: str, *, translate: Translate) -> str:
    """An event's detail in the reader's language; what terminals say in other words is shown as it came."""
    how, colon, what = detail.partition(": ")
    if how not in _MEANT:
        return detail
    if not colon:
        return translate(_MEANT[how])
    return translate(_MEANT_AND_WHY) % {"how": translate(_MEANT[how]), "what": translate(_EVENT_CAUSES.get(what, what))}


# A symptom is said as the reason that it gives its terminal.
_REASON_OF_SYMPTOM: Final[Mapping[Trouble, Reason]] = {
    **REASON_OF_TROUBLE,
    Trouble.OFFLINE: Reason.OFFLINE,
    Trouble.PAPER: Reason.PAPER_OUT,
}


def symptom_text(symptom: Symptom, *, translate: Translate, language: str) -> str:
    """A symptom in words, with its figure where it has one."""
    code = _REASON_OF_SYMPTOM.get(symptom.trouble, symptom.trouble)
    return reason_text(code, symptom.value, translate=translate, language=language)


DAYS: Final[Mapping[str, str]] = {
    "Mo": _("Mon"),
    "Tu": _("Tue"),
    "We": _("Wed"),
    "Th": _("Thu"),
    "Fr": _("Fri"),
    "Sa": _("Sat"),
    "Su": _("Sun"),
    "off": _("closed"),
}


def hours_text(hours: str, *, translate: Translate) -> str:
    """Opening hours with the days in the reader's language."""
    return re.sub(r"\b(Mo|Tu|We|Th|Fr|Sa|Su|off)\b", lambda found: translate(DAYS[found.group()]), hours)
