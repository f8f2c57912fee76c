"""An article's text: paragraphs, lists and steps out of plain lines, and the passage that answers a search.

Pure. Whoever writes an article needs no markup: a blank line parts paragraphs, `- ` begins a point, `1. ` a step.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fleet.registry import folded

# A passage is about two lines on a page.
PASSAGE_CHARS: Final = 180
# The longest ending that a word may have beyond the typed one and still be shown as found: `redémarr(age)`.
_LONGEST_ENDING: Final = 5
_SHORTEST_STEM: Final = 4
_WORD: Final = re.compile(r"[^\W_]+")
_POINT: Final = re.compile(r"^\s*[-•]\s+")
_STEP: Final = re.compile(r"^\s*\d{1,2}[.)]\s+")


class Shape(StrEnum):
    """How a block is shown."""

    PARAGRAPH = "paragraph"
    POINTS = "points"
    STEPS = "steps"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph of one line or more, or a list of points or steps, one to a line."""

    shape: Shape
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a passage; `found` where it is a word that was asked for."""

    text: str
    found: bool


def blocks(text: str) -> list[Block]:
    """The text's paragraphs and lists, in order."""
    found: list[tuple[Shape, list[str]]] = []
    parted = True
    for line in text.splitlines():
        if not line.strip():
            parted = True
            continue
        shape = _shape(line)
        bare = line.strip() if shape is Shape.PARAGRAPH else (_POINT if shape is Shape.POINTS else _STEP).sub("", line).strip()
        # A blank line between two steps does not begin a new list; one between two paragraphs parts them.
        goes_on = bool(found) and found[-1][0] is shape and not (parted and shape is Shape.PARAGRAPH)
        if goes_on:
            found[-1][1].append(bare)
        else:
            found.append((shape, [bare]))
        parted = False
    return [Block(shape, lines) for shape, lines in found]


def passage(text: str, asked: str) -> list[Piece]:
    """The part of the text that says most of what was asked, its found words marked; the beginning where none is found."""
    plain = " ".join(bare for block in blocks(text) for bare in block.lines)
    wanted = [stem(word) for word in _WORD.findall(asked)]
    hits = [(match.start(), match.end()) for match in _WORD.finditer(plain) if _is_one(match.group(), wanted)]
    begin = _best_begin(plain, hits)
    end = min(len(plain), begin + PASSAGE_CHARS)
    if end < len(plain):
        end = max(plain.rfind(" ", begin, end), begin + 1)
    pieces = [Piece("…", False)] if begin else []
    at = begin
    for first, last in hits:
        if first < at or last > end:
            continue
        pieces += [Piece(plain[at:first], False), Piece(plain[first:last], True)]
        at = last
    pieces.append(Piece(plain[at:end] + ("…" if end < len(plain) else ""), False))
    return [piece for piece in pieces if piece.text]


def stem(word: str) -> str:
    """What a typed word must share with a word of the text: all but a French ending, without accents."""
    bare = folded(word)
    return re.sub(r"(?:ements?|ations?|ations|ages?|ees?|ent|er|es|ez|s|e)$", "", bare) if len(bare) > _SHORTEST_STEM + 1 else bare


def _shape(line: str) -> Shape:
    if _POINT.match(line):
        return Shape.POINTS
    return Shape.STEPS if _STEP.match(line) else Shape.PARAGRAPH


def _is_one(word: str, wanted: Sequence[str]) -> bool:
    bare = folded(word)
    return any(
        bare == one or (len(one) >= _SHORTEST_STEM and bare.startswith(one) and len(bare) - len(one) <= _LONGEST_ENDING)
        for one in wanted
    )


def _best_begin(plain: str, hits: Sequence[tuple[int, int]]) -> int:
    """Where the passage begins: at a word, a little before the first of the most hits that one passage can hold."""
    room = PASSAGE_CHARS * 3 // 4
    held = {first: sum(first <= other < first + room for other, _ in hits) for first, _ in [(0, 0), *hits]}
    # Of equals the earliest, so that a text whose beginning serves as well is read from there.
    first = max(held, key=lambda one: (held[one], -one))
    earliest = max(0, first - (PASSAGE_CHARS - room))
    return plain.find(" ", earliest, first) + 1 if earliest else 0
