"""What can be wrong with a terminal, and what else each of these makes go wrong: the words of symptoms and of incidents.

A *trouble* names a symptom of one terminal and, where many share it, the kind of an incident.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Trouble(StrEnum):
    """What goes wrong, in the order of cause before consequence; the order is the column of arrays."""

    OFFLINE = "offline"  # not connected, or owing its reports
    NETWORK = "network"  # round trips or losses up
    RADIO = "radio"  # radio signal down
    HEAT = "heat"  # board too warm
    DISK = "disk"  # free storage falls
    MEMORY = "memory"  # free memory falls
    CLOCK = "clock"  # clock runs away
    CRASHES = "crashes"  # application crashes, unexpected restarts
    TX_FAILING = "tx_failing"  # bets without an answer, or refused
    TX_SLOW = "tx_slow"  # bets take long
    PRINTER = "printer"  # printing fails
    SCANNER = "scanner"  # slips are not read
    PAPER = "paper"  # no paper
    NO_SALES = "no_sales"  # alive, and sells nothing
    CALLS = "calls"  # shops ring


TROUBLES: Final = tuple(Trouble)
TROUBLE_INDEX: Final = {trouble: index for index, trouble in enumerate(TROUBLES)}

_OF_A_WAY: Final = frozenset({Trouble.NETWORK, Trouble.TX_FAILING, Trouble.TX_SLOW, Trouble.NO_SALES, Trouble.CALLS})
_OF_A_MACHINE: Final = frozenset({Trouble.TX_SLOW, Trouble.CRASHES, Trouble.OFFLINE, Trouble.NO_SALES, Trouble.CALLS})

# What one trouble brings about at the same terminals, by itself or on its end: no incident of its own while that one lasts.
CONSEQUENCES: Final[Mapping[Trouble, frozenset[Trouble]]] = {
    Trouble.OFFLINE: _OF_A_WAY | {Trouble.RADIO, Trouble.CRASHES},  # power that returns is a restart
    Trouble.NETWORK: _OF_A_WAY | {Trouble.OFFLINE},
    Trouble.RADIO: _OF_A_WAY | {Trouble.OFFLINE},
    Trouble.HEAT: _OF_A_MACHINE | {Trouble.PRINTER},
    Trouble.DISK: _OF_A_MACHINE,
    Trouble.MEMORY: _OF_A_MACHINE | {Trouble.HEAT},  # the processor labours
    Trouble.CLOCK: frozenset({Trouble.TX_FAILING, Trouble.CALLS}),
    Trouble.CRASHES: frozenset({Trouble.OFFLINE, Trouble.TX_SLOW, Trouble.MEMORY, Trouble.NO_SALES, Trouble.CALLS}),
    Trouble.TX_FAILING: frozenset({Trouble.TX_SLOW, Trouble.NO_SALES, Trouble.CALLS}),
    Trouble.TX_SLOW: frozenset({Trouble.TX_FAILING, Trouble.NO_SALES, Trouble.CALLS}),
    Trouble.PRINTER: frozenset({Trouble.HEAT, Trouble.NO_SALES, Trouble.CALLS}),
    Trouble.SCANNER: frozenset({Trouble.NO_SALES, Trouble.CALLS}),
    Trouble.PAPER: frozenset({Trouble.PRINTER, Trouble.NO_SALES, Trouble.CALLS}),
    Trouble.NO_SALES: frozenset({Trouble.CRASHES, Trouble.OFFLINE, Trouble.HEAT, Trouble.CALLS}),  # what hangs may spin
    Trouble.CALLS: frozenset(),
}
