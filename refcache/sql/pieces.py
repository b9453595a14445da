"""A statement's text in pieces, with their depth in brackets and the parameters before them."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Strings with a backslash, comments, dollar quotes and a second statement match nothing here.
_PIECE = re.compile(
    r"""'(?:[^'\\]|'')*'|"(?:[^"\\]|"")*"|`(?:[^`\\]|``)*`|%s|%%|--|/\*|\w+|[(),]|[^\s]"""
)
_REFUSED = frozenset(["--", "/*", ";", "\\", "$", "#", "'", '"', "`"])
_ENDS = frozenset(["ORDER", "RETURNING", "WHERE"])
# At the top of an UPDATE or DELETE: more tables, or fewer rows than the condition says.
_BEYOND = frozenset(["FROM", "USING", "JOIN", "LIMIT", "PARTITION", "AS", "SELECT", "WITH"])


class Piece(NamedTuple):
    text: str
    start: int
    end: int
    depth: int
    parameters: int  # before it


def pieces_of(sql: str, start: int) -> list[Piece] | None:
    """The pieces from *start* on; None where one makes the rest doubtful."""
    found, depth, parameters = [], 0, 0
    for match in _PIECE.finditer(sql, start):
        text = match[0]
        if text in _REFUSED or (depth == 0 and text.upper() in _BEYOND):
            return None
        depth -= text in (")", "]")
        found.append(Piece(text, match.start(), match.end(), depth, parameters))
        depth += text in ("(", "[")
        parameters += text == "%s"
    return found if depth == 0 else None


def parameters_in(pieces: Sequence[Piece]) -> int:
    return pieces[-1].parameters + (pieces[-1].text == "%s") if pieces else 0


def clauses(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """What stands before WHERE, and the condition."""
    clauses: dict[str, list[Piece]] = {"": [], **{name: [] for name in _ENDS}}
    name = ""
    for piece in pieces:
        if piece.depth == 0 and piece.text.upper() in _ENDS:
            name = piece.text.upper()
        else:
            clauses[name].append(piece)
    return clauses[""], clauses["WHERE"]


def parts(pieces: list[Piece], separator: str) -> Iterator[list[Piece]]:
    """The pieces between separators at their outermost depth."""
    part: list[Piece] = []
    for piece in pieces:
        if piece.depth == pieces[0].depth and piece.text.upper() == separator:
            if part:
                yield part
            part = []
        else:
            part.append(piece)
    if part:
        yield part


def unbracketed(pieces: list[Piece]) -> list[Piece]:
    """Without the brackets that hold all of it."""
    while _is_bracketed(pieces):
        pieces = pieces[1:-1]
    return pieces


def _is_bracketed(pieces: list[Piece]) -> bool:
    """Whether one pair of brackets holds all of it."""
    if len(pieces) < 2 or pieces[0].text != "(" or pieces[-1].text != ")":  # noqa: PLR2004 - a pair
        return False
    return all(piece.depth > pieces[0].depth for piece in pieces[1:-1])
