"""Who may do what: every route names the right it needs, every role has the rights listed here, and nothing else."""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a person, or a program's token, is at the hotline."""

    LEVEL1 = "level1"
    LEVEL2 = "level2"
    SUPERVISOR = "supervisor"
    VEILLE = "veille"
    DSI = "dsi"
    ROLLOUT_MANAGER = "rollout_manager"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """What a route may ask for."""

    READ = "read"
    HANDLE_CALLS = "handle_calls"
    DECLARE_INCIDENTS = "declare_incidents"
    EDIT_TYPOLOGIES = "edit_typologies"
    EDIT_ARTICLES = "edit_articles"
    TEST_TERMINALS = "test_terminals"
    REBOOT_TERMINALS = "reboot_terminals"


RIGHTS: Mapping[Right, frozenset[Role]] = {
    Right.READ: frozenset(Role),
    Right.HANDLE_CALLS: frozenset({Role.LEVEL1, Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    Right.DECLARE_INCIDENTS: frozenset({Role.VEILLE, Role.DSI, Role.ADMINISTRATOR}),
    Right.EDIT_TYPOLOGIES: frozenset({Role.VEILLE, Role.ADMINISTRATOR}),
    Right.EDIT_ARTICLES: frozenset({Role.VEILLE, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    # A ping and a test print disturb nobody; a reboot stops a shop's sales for minutes.
    Right.TEST_TERMINALS: frozenset({Role.LEVEL1, Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    Right.REBOOT_TERMINALS: frozenset({Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
}

# A call that names none of our agents rings on the screens of these.
ANSWERING = frozenset({Role.LEVEL1, Role.LEVEL2})


def may(role: Role, right: Right) -> bool:
    """Whether the role has the right."""
    return role in RIGHTS[right]
