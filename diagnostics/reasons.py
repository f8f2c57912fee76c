"""Why a terminal is judged as it is: states and reason codes, without words (the console translates them).

Every reason shown carries `since` (when it began) and, where the table says so, `value` with its unit:

| code             | means                                                                            | value               |
|------------------|----------------------------------------------------------------------------------|---------------------|
| `not_watched`    | the watch itself has not judged for a minute; `since` is its last judgement      | none                |
| `telemetry_late` | our own pipeline is behind or stopped: nothing new is known of any terminal      | none                |
| `never_seen`     | registered, but no message ever came                                             | none                |
| `stale`          | nothing recent was heard, and it is too early to blame the terminal              | none                |
| `offline`        | not connected while the shop is open; `since` is the loss of the connection      | none                |
| `silent`         | connected (or believed so) but sends nothing: frozen; `since` is the last message | none               |
| `paper_out`      | no paper: cannot print a ticket                                                  | paper left, %       |
| `overheating`    | the board is too hot                                                             | board, °C           |
| `head_hot`       | the print head is too hot                                                        | print head, °C      |
| `disk_low`       | storage nearly full                                                              | free storage, MB    |
| `clock_off`      | the terminal's clock is wrong                                                    | offset, ms, signed  |
| `crashed`        | the betting application crashed in the last quarter of an hour                   | none                |
| `reader_fail`    | the card reader reported a failure in the last quarter of an hour                | none                |
| `scanner_fail`   | the slip scanner reported a failure, and no slip was read since                  | none                |
| `paper_jam`      | a paper jam was reported, and no bet was sold since                              | none                |
| `paper_low`      | the roll nears its end                                                           | paper left, %       |
| `closed_by_shop` | the shopkeeper ended the day, during the usual hours                             | none                |
| `closed`         | outside the usual hours, and the shopkeeper has not opened                       | none                |

`value` may be absent (`None`) where the code allows one: `paper_out` told by an event alone has none.
An opened cover is no reason: it is how a roll is changed, and nothing tells when it is shut again.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What a terminal is, in one word."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why; declared in the order in which they are shown: what hides everything else first, then the worst."""

    NOT_WATCHED = "not_watched"
    TELEMETRY_LATE = "telemetry_late"
    NEVER_SEEN = "never_seen"
    STALE = "stale"
    OFFLINE = "offline"
    SILENT = "silent"
    PAPER_OUT = "paper_out"
    OVERHEATING = "overheating"
    HEAD_HOT = "head_hot"
    DISK_LOW = "disk_low"
    CLOCK_OFF = "clock_off"
    CRASHED = "crashed"
    READER_FAIL = "reader_fail"
    SCANNER_FAIL = "scanner_fail"
    PAPER_JAM = "paper_jam"
    PAPER_LOW = "paper_low"
    CLOSED_BY_SHOP = "closed_by_shop"
    CLOSED = "closed"


# The order is the code of arrays: State i is STATES[i], Reason i is bit i of a reason mask and column i of its arrays.
STATES: Final = tuple(State)
REASONS: Final = tuple(Reason)
STATE_INDEX: Final = {state: index for index, state in enumerate(STATES)}
REASON_INDEX: Final = {reason: index for index, reason in enumerate(REASONS)}

# What a reason makes of a terminal; of several, unknown comes before closed, closed before down, down before degraded.
STATE_OF: Final = {
    Reason.NOT_WATCHED: State.UNKNOWN,
    Reason.TELEMETRY_LATE: State.UNKNOWN,
    Reason.NEVER_SEEN: State.UNKNOWN,
    Reason.STALE: State.UNKNOWN,
    Reason.OFFLINE: State.DOWN,
    Reason.SILENT: State.DOWN,
    Reason.PAPER_OUT: State.DOWN,
    Reason.OVERHEATING: State.DEGRADED,
    Reason.HEAD_HOT: State.DEGRADED,
    Reason.DISK_LOW: State.DEGRADED,
    Reason.CLOCK_OFF: State.DEGRADED,
    Reason.CRASHED: State.DEGRADED,
    Reason.READER_FAIL: State.DEGRADED,
    Reason.SCANNER_FAIL: State.DEGRADED,
    Reason.PAPER_JAM: State.DEGRADED,
    Reason.PAPER_LOW: State.DEGRADED,
    Reason.CLOSED_BY_SHOP: State.CLOSED,
    Reason.CLOSED: State.CLOSED,
}
