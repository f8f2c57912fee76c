"""The words in which the console speaks of orders to terminals."""

from collections.abc import Mapping
from typing import Final

from hotline.commands import Command, Fate, Order
from hotline.translations import mark as _
from hotline.words import quantity

ORDERS: Final[Mapping[Order, str]] = {
    Order.PING: _("Test the link"),
    Order.PRINT_TEST: _("Print a test ticket"),
    Order.REBOOT: _("Restart"),
}

FATES: Final[Mapping[Fate, str]] = {
    Fate.WAITING: _("being sent"),
    Fate.SENT: _("sent, no answer yet"),
    Fate.DONE: _("done"),
    Fate.FAILED: _("the terminal could not"),
    Fate.UNHEARD: _("not received: the terminal is not connected"),
    Fate.UNANSWERED: _("no answer within a minute"),
    Fate.UNSENT: _("not sent: the terminals' broker did not take it"),
}

# What terminals are known to answer; anything else is shown as it came.
ANSWERS: Final[Mapping[str, str]] = {
    "pong": _("it answers"),
    "printed": _("printed"),
    "restarting": _("it restarts"),
    "no paper": _("no paper"),
}

# A shape beside each word: no colour alone.
ICONS: Final[Mapping[Fate, str]] = {
    Fate.WAITING: "clock",
    Fate.SENT: "clock",
    Fate.DONE: "ok",
    Fate.FAILED: "degraded",
    Fate.UNHEARD: "unplugged",
    Fate.UNANSWERED: "unknown",
    Fate.UNSENT: "unknown",
}


def took(command: Command, language: str) -> str:
    """How long the terminal took to answer, the ways there and back included."""
    if command.answered_at is None or command.sent_at is None:
        return ""
    seconds = max(0.0, (command.answered_at - command.sent_at).total_seconds())
    return quantity(seconds, "s", decimals=1, language=language)
