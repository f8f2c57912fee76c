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
| `no_sales`       | reports come, and nothing is sold or tried: the application hangs                | minutes without one |
| `network_bad`    | round trips or losses far beyond this terminal's own                             | round trip, ms      |
| `radio_weak`     | the radio signal fell far below this terminal's own                              | signal, dBm         |
| `tx_failing`     | bets without an answer or refused, far beyond this terminal's own share          | share, %            |
| `tx_slow`        | bets take far longer than they do here                                           | duration, ms        |
| `printer_failing` | printing fails far more often than it does here                                 | errors in an hour   |
| `scanner_failing` | slips are not read, far beyond this terminal's own share                        | share of tries, %   |
| `crash_loop`     | several crashes within half an hour                                              | crashes             |
| `running_hot`    | the board is far warmer than it usually is here at this time                     | board, °C           |
| `memory_falling` | free memory is far below this terminal's own                                     | free memory, MB     |
| `disk_filling`   | free storage is far below this terminal's own                                    | free storage, MB    |
| `clock_drifting` | the clock runs away from its own offset                                          | offset, ms, signed  |
| `crashed`        | the betting application crashed in the last quarter of an hour                   | none                |
| `reader_fail`    | the card reader reported a failure in the last quarter of an hour                | none                |
| `scanner_fail`   | the slip scanner reported a failure, and no slip was read since                  | none                |
| `paper_jam`      | a paper jam was reported, and no bet was sold since                              | none                |
| `paper_low`      | the roll nears its end                                                           | paper left, %       |
| `closed_by_shop` | the shopkeeper ended the day, during the usual hours                             | none                |
| `closed`         | outside the usual hours, and the shopkeeper has not opened                       | none                |

From `no_sales` to `clock_drifting` they are symptoms, which the detector finds against the terminal's own usual figures.
`value` may be absent (`None`) where the code allows one: `paper_out` told by an event alone has none.
An opened cover is no reason: it is how a roll is changed, and nothing tells when it is shut again.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from diagnostics.troubles import Trouble


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
    NO_SALES = "no_sales"
    NETWORK_BAD = "network_bad"
    RADIO_WEAK = "radio_weak"
    TX_FAILING = "tx_failing"
    TX_SLOW = "tx_slow"
    PRINTER_FAILING = "printer_failing"
    SCANNER_FAILING = "scanner_failing"
    CRASH_LOOP = "crash_loop"
    RUNNING_HOT = "running_hot"
    MEMORY_FALLING = "memory_falling"
    DISK_FILLING = "disk_filling"
    CLOCK_DRIFTING = "clock_drifting"
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
    Reason.NO_SALES: State.DOWN,
    Reason.NETWORK_BAD: State.DEGRADED,
    Reason.RADIO_WEAK: State.DEGRADED,
    Reason.TX_FAILING: State.DEGRADED,
    Reason.TX_SLOW: State.DEGRADED,
    Reason.PRINTER_FAILING: State.DEGRADED,
    Reason.SCANNER_FAILING: State.DEGRADED,
    Reason.CRASH_LOOP: State.DEGRADED,
    Reason.RUNNING_HOT: State.DEGRADED,
    Reason.MEMORY_FALLING: State.DEGRADED,
    Reason.DISK_FILLING: State.DEGRADED,
    Reason.CLOCK_DRIFTING: State.DEGRADED,
    Reason.CRASHED: State.DEGRADED,
    Reason.READER_FAIL: State.DEGRADED,
    Reason.SCANNER_FAIL: State.DEGRADED,
    Reason.PAPER_JAM: State.DEGRADED,
    Reason.PAPER_LOW: State.DEGRADED,
    Reason.CLOSED_BY_SHOP: State.CLOSED,
    Reason.CLOSED: State.CLOSED,
}

# The reason that a symptom of each trouble gives its terminal; being offline and being without paper have theirs already.
REASON_OF_TROUBLE: Final[Mapping[Trouble, Reason]] = {
    Trouble.NETWORK: Reason.NETWORK_BAD,
    Trouble.RADIO: Reason.RADIO_WEAK,
    Trouble.HEAT: Reason.RUNNING_HOT,
    Trouble.DISK: Reason.DISK_FILLING,
    Trouble.MEMORY: Reason.MEMORY_FALLING,
    Trouble.CLOCK: Reason.CLOCK_DRIFTING,
    Trouble.CRASHES: Reason.CRASH_LOOP,
    Trouble.TX_FAILING: Reason.TX_FAILING,
    Trouble.TX_SLOW: Reason.TX_SLOW,
    Trouble.PRINTER: Reason.PRINTER_FAILING,
    Trouble.SCANNER: Reason.SCANNER_FAILING,
    Trouble.NO_SALES: Reason.NO_SALES,
}
