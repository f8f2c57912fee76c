"""What a row of the rollout's audit was made from, as lines to read; the row itself, as it is hashed, stands beside them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hotline.rollout_words import TERMINALS, step_text
from hotline.words import Translate

# So many terminals, or other values of a list, are named; the others are counted.
NAMED: Final = 8
# A campaign's policy would be a page of its own, and stands on the campaign's.
_ELSEWHERE: Final = frozenset({"policy"})
# Said by the moves, one by one.
_SUMS: Final = frozenset({"counted", "moves"})


def lines_of(details: Mapping[str, Any], *, translate: Translate) -> list[str]:
    """A line for each move of terminals, then one for each other value by its name."""
    moves = details.get("moves")
    if not isinstance(moves, list):
        return list(_plain(details, ""))
    rest = {name: value for name, value in details.items() if name not in _SUMS}
    return [*(_move(one, translate) for one in moves), *_plain(rest, "")]


def _move(move: Mapping[str, Any], translate: Translate) -> str:
    """`planned → updating · its wave has begun · 12 (T00001, T00002 …) · reported: 4.2.1, online: True`."""
    # What this release does not know is shown as it is.
    ends = (translate(TERMINALS[move[end]]) if move[end] in TERMINALS else move[end] for end in ("from", "to"))
    terminals = f"{len(move['terminals'])} ({_listed(move['terminals'])})"
    said = [" → ".join(ends), step_text(move["why"], translate=translate), terminals, ", ".join(_plain(move.get("inputs", {}), ""))]
    return " · ".join(filter(None, said))


def _plain(details: Mapping[str, Any], within: str) -> Iterator[str]:
    """What has a value, by the names that the audit gives it."""
    for name, value in details.items():
        title = f"{within} {name}".strip().replace("_", " ")
        if name in _ELSEWHERE or value is None or value in ("", [], {}):
            continue
        if isinstance(value, dict):
            yield from _plain(value, title)
        else:
            yield f"{title}: {_listed(value) if isinstance(value, list) else value}"


def _listed(values: list[Any]) -> str:
    more = f" … +{len(values) - NAMED}" if len(values) > NAMED else ""
    return ", ".join(map(str, values[:NAMED])) + more
