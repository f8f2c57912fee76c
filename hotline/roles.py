"""Who may do what: every route names the right it needs, every role has the rights listed here, and nothing else.

The overflow floor, another company's, has of its roles' rights only those it needs to answer calls.
"""

from collections.abc import Mapping
from enum import StrEnum

from hotline.floors import Floor


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
    BROWSE = "browse"
    HANDLE_CALLS = "handle_calls"
    DECLARE_INCIDENTS = "declare_incidents"
    EDIT_TYPOLOGIES = "edit_typologies"
    EDIT_ARTICLES = "edit_articles"
    TEST_TERMINALS = "test_terminals"
    REBOOT_TERMINALS = "reboot_terminals"
    SEE_ROLLOUT = "see_rollout"
    MANAGE_ROLLOUT = "manage_rollout"
    SEE_FIGURES = "see_figures"
    SEE_AGENT_FIGURES = "see_agent_figures"
    EDIT_RACE_DAYS = "edit_race_days"
    EXPORT = "export"
    READ_AUDIT = "read_audit"
    MANAGE_AGENTS = "manage_agents"
    TAKE_OVER = "take_over"
    SAY_TELEPHONY = "say_telephony"


RIGHTS: Mapping[Right, frozenset[Role]] = {
    Right.READ: frozenset(Role),
    # Lists that lead through everything there is, page by page.
    Right.BROWSE: frozenset(Role),
    Right.HANDLE_CALLS: frozenset({Role.LEVEL1, Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    Right.DECLARE_INCIDENTS: frozenset({Role.VEILLE, Role.DSI, Role.ADMINISTRATOR}),
    Right.EDIT_TYPOLOGIES: frozenset({Role.VEILLE, Role.ADMINISTRATOR}),
    Right.EDIT_ARTICLES: frozenset({Role.VEILLE, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    # A ping and a test print disturb nobody; a reboot stops a shop's sales for minutes.
    Right.TEST_TERMINALS: frozenset({Role.LEVEL1, Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    Right.REBOOT_TERMINALS: frozenset({Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    # The overflow floor has the line of each call, and no more of the rollout.
    Right.SEE_ROLLOUT: frozenset(Role),
    # Who makes a campaign is not who approves it, whatever their roles.
    Right.MANAGE_ROLLOUT: frozenset({Role.ROLLOUT_MANAGER, Role.ADMINISTRATOR}),
    Right.SEE_FIGURES: frozenset({Role.SUPERVISOR, Role.VEILLE, Role.DSI, Role.ADMINISTRATOR}),
    # How one person works is for those who lead them.
    Right.SEE_AGENT_FIGURES: frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR}),
    Right.EDIT_RACE_DAYS: frozenset({Role.SUPERVISOR, Role.VEILLE, Role.ADMINISTRATOR}),
    # Files with many rows at once, to take away.
    Right.EXPORT: frozenset({Role.LEVEL2, Role.SUPERVISOR, Role.VEILLE, Role.DSI, Role.ADMINISTRATOR}),
    Right.READ_AUDIT: frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR}),
    Right.MANAGE_AGENTS: frozenset({Role.ADMINISTRATOR}),
    # Callers whom level 1 passes on.
    Right.TAKE_OVER: frozenset({Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
    # Whether our telephone system works is ours to say: it warns everybody and marks the figures.
    Right.SAY_TELEPHONY: frozenset({Role.LEVEL1, Role.LEVEL2, Role.SUPERVISOR, Role.ADMINISTRATOR}),
}

# A right that is not named here is not the overflow floor's, whatever the role.
OVERFLOW_RIGHTS = frozenset({Right.READ, Right.HANDLE_CALLS, Right.TEST_TERMINALS})

# A call that names none of our agents rings on the screens of these.
ANSWERING = frozenset({Role.LEVEL1, Role.LEVEL2})


def may(role: Role, right: Right, floor: Floor = Floor.OWN) -> bool:
    """Whether the role has the right, on this floor."""
    return role in RIGHTS[right] and (floor == Floor.OWN or right in OVERFLOW_RIGHTS)


def level_of(role: Role) -> int:
    """The level a person works at; who only helps out counts as the first."""
    return 2 if role is Role.LEVEL2 else 1
