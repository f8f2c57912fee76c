"""The demonstration's hotline: its queues, the people whose passwords are printed, and simulated agents on both floors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from fleet.clock import Clock
from fleet.database import Connection
from hotline.accounts import add_agent, add_token, generate_password
from hotline.attendance import NOTED_EVERY, note_present
from hotline.floors import Floor
from hotline.queues import set_queue
from hotline.roles import Role
from simulators.crew import DESKS, LEVEL2, OVERFLOW, OWN, crew, people


class Person(NamedTuple):
    """Somebody who can sign in."""

    login: str
    name: str
    role: Role
    floor: Floor = Floor.OWN


PEOPLE: Final = (
    Person("level1", "Alix Martin", Role.LEVEL1),
    Person("overflow", "Noa Garnier", Role.LEVEL1, Floor.OVERFLOW),
    Person("level2", "Camille Bernard", Role.LEVEL2),
    Person("supervisor", "Dominique Petit", Role.SUPERVISOR),
    Person("veille", "Claude Moreau", Role.VEILLE),
    Person("dsi", "Maxime Laurent", Role.DSI),
    Person("rollout_manager", "Sacha Simon", Role.ROLLOUT_MANAGER),
    Person("administrator", "Lou Michel", Role.ADMINISTRATOR),
)
# Whoever signs in as one of these sees calls stay, as if they had picked up the telephone.
STAFF: Final = f"level1@{OWN.queue},overflow@{OVERFLOW.queue},level2@{LEVEL2.queue}"
# Enough for any usual hour and few for the demonstration's first minutes, in which much fails at once: callers wait, some give up.
AGENTS: Final = 45
# Names of simulated agents, a first and a last one each; 7 and 8 have no divisor in common, so fifty-six differ.
_FIRST: Final = ("Ange", "Charlie", "Eden", "Jess", "Léo", "Morgan", "Yaël")
_LAST: Final = ("Aubry", "Besson", "Colin", "Dumas", "Evrard", "Faure", "Gilbert", "Hamel")


@dataclass(frozen=True)
class Access:
    """Who may come in: passwords by login, tokens of the telephone system and of simulated agents, a shop's number.

    `simulated` are the simulated agents' accounts, as which nobody signs in.
    """

    passwords: Mapping[str, str]
    cti_token: str
    api_token: str
    a_phone: str
    simulated: Sequence[int]


def furnish(conn: Connection, *, now: datetime) -> Access:
    """Make queues, people, simulated agents and the tokens of the telephone system and of the simulator."""
    for desk in DESKS:
        set_queue(conn, name=desk.queue, level=desk.level, floor=Floor(desk.floor))
    passwords = {}
    for number, (login, name, role, floor) in enumerate(PEOPLE, start=1):
        password = passwords[login] = generate_password()
        add_agent(conn, login=login, name=name, role=role, password=password, extension=f"{900 + number}", floor=floor)
    cti = add_token(conn, name="demonstration", purpose="cti", role=Role.LEVEL1, now=now)
    api = add_token(conn, name="simulated agents", purpose="api", role=Role.LEVEL1, now=now)
    phone = conn.execute("SELECT min(e164) FROM fleet.phone_number").fetchone()
    return Access(passwords, cti, api, str(phone[0]).removeprefix("+") if phone else "", _hire(conn))


def _hire(conn: Connection) -> list[int]:
    """Make the simulated agents' accounts; their passwords are told to nobody."""
    seated, hired = crew(AGENTS, STAFF), list[int]()
    for desk in DESKS:
        for login in [one for one in seated[desk.queue] if one not in people(STAFF)]:
            name = f"{_FIRST[len(hired) % len(_FIRST)]} {_LAST[len(hired) % len(_LAST)]}"
            role = Role.LEVEL2 if desk.level == 2 else Role.LEVEL1
            password = generate_password()
            hired.append(add_agent(conn, login=login, name=name, role=role, password=password, floor=Floor(desk.floor)).id)
    return hired


class Presence:
    """Says that the simulated agents are there, as their open consoles would."""

    def __init__(self, agents: Sequence[int], clock: Clock) -> None:
        self._agents, self._clock = agents, clock
        self._next: datetime | None = None

    def due(self) -> bool:
        """Whether it is to be said again."""
        return self._next is None or self._clock() >= self._next

    def note(self, conn: Connection) -> None:
        """Say it."""
        now = self._clock()
        self._next = now + NOTED_EVERY
        note_present(conn, agents=self._agents, now=now)
