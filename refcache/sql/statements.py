"""What the text of a SQL statement tells: whether it writes, and which rows of which table.

Understood are the forms of Django's own compiler: one table, its columns, a condition that names
rows by their keys. A parser of all of SQL would be slower and no safer, as what it misread would
be missed; here, whatever is not one of these forms is `OTHER` and may write anything that it
mentions.
"""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from refcache.sql.pieces import Piece, clauses, parameters_in, parts, pieces_of, unbracketed

_NAME = r'(?:"(?:[^"\\]|"")+"|`(?:[^`\\]|``)+`|[A-Za-z_]\w*)'
_TABLE = rf"(?:{_NAME}\.)?(?P<table>{_NAME})"
_COLUMN = rf"(?:{_NAME}\.)*(?P<column>{_NAME})"
_SPACE = r"[\s(]*"

# MySQL executes comments that begin with an exclamation mark; PostgreSQL nests them.
_COMMENT = r"(?>--[^\r\n]*[\r\n]|/\*(?!M?!)(?:(?!/\*|\*/).)*+\*/)"
_FIRST_WORD = re.compile(rf"{_SPACE}(?:{_COMMENT}{_SPACE})*([A-Za-z_]+)", re.DOTALL)
_WRITES = re.compile(
    r"\b(?:insert|update|delete|merge|replace|truncate|copy|call|do|execute|drop|alter)\b",
    re.IGNORECASE,
)
# What did not exist before is in no cache; `CREATE TABLE … AS` may call what writes.
_CREATE = re.compile(
    r"\s*CREATE (?:UNIQUE )?(?:TABLE|INDEX)\b(?!.*\bAS\b)", re.IGNORECASE | re.DOTALL
)
_INSERT = re.compile(
    rf"\s*INSERT (?P<way>OR \w+ |IGNORE )?INTO {_TABLE} (?:\((?P<columns>[^()]*)\) )?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_UPDATE = re.compile(rf"\s*UPDATE\b {_TABLE} SET (?=\S)", re.IGNORECASE)
_DELETE = re.compile(rf"\s*DELETE FROM {_TABLE}(?=\s|$)", re.IGNORECASE)  # noqa: S608 - a pattern
_SOLE = re.compile(
    rf"(?:INSERT INTO|UPDATE|DELETE FROM) {_TABLE} "
    # As each goes on where it can name no further table to write.
    r"(?:SET|WHERE|VALUES|\([^()]*\) VALUES) ",
    re.IGNORECASE,
)
_CONFLICT = re.compile(r"\bON\s+(?:CONFLICT|DUPLICATE)\b.*", re.IGNORECASE | re.DOTALL)
_ROW = r"\((?:%s|DEFAULT|NULL)(?:, (?:%s|DEFAULT|NULL))*\)"
_VALUES = re.compile(
    rf"VALUES (?P<rows>{_ROW}(?:, {_ROW})*)(?: RETURNING [^%;]*)?\s*", re.IGNORECASE
)
_ASSIGNMENT = re.compile(rf"\s*(?P<column>{_NAME}) = (?P<value>.*\S)\s*", re.DOTALL)
_ONE = re.compile(rf"\s*{_COLUMN} (?:= %s|IN \((?P<many>%s(?:, %s)*)\))\s*", re.IGNORECASE)
_TUPLES = re.compile(
    rf"\s*\((?P<columns>{_NAME}(?:\.{_NAME})*(?:, {_NAME}(?:\.{_NAME})*)*)\) "
    r"(?:= (?P<single>\(%s(?:, %s)*\))|IN \((?P<many>\(%s(?:, %s)*\)(?:, \(%s(?:, %s)*\))*)\))\s*",
    re.IGNORECASE,
)
# MySQL has `||` and `&&` too.
_NOT_ONLY_AND = frozenset(["OR", "XOR", "BETWEEN", "CASE", "|", "&"])

_READS = frozenset(
    ["SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "VALUES", "TABLE", "WITH", "FETCH", "DECLARE"]
)
_CONTROLS = frozenset([
    "ABORT", "ANALYZE", "BEGIN", "CHECKPOINT", "CLOSE", "COMMENT", "COMMIT", "DEALLOCATE",
    "DISCARD", "END", "GRANT", "KILL", "LISTEN", "LOCK", "MOVE", "NOTIFY", "PRAGMA", "REINDEX",
    "RELEASE", "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SET", "START", "UNLISTEN", "UNLOCK",
    "USE", "VACUUM", "XA",
])  # fmt: skip

CACHED_LENGTH = 2000  # characters; longer statements are seldom the same twice


class Verb(Enum):
    """What a statement does, as far as its text tells."""

    READ = "read"
    CONTROL = "control"  # of transactions, sessions, maintenance: no row changes
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    OTHER = "other"  # may write whatever it mentions


class Match(NamedTuple):
    """A condition that every written row fulfils: its *columns* have one of *many* values.

    The values are the parameters from *start* on, a tuple of columns after the other.
    """

    columns: tuple[str, ...]
    start: int
    many: int


class Statement(NamedTuple):
    """What one statement does; of INSERT, UPDATE and DELETE to one table only.

    Args:
        word: Its first, in capitals.
        table: The only one that it writes; empty where there may be others.
        columns: That are inserted or assigned; None: not known.
        places: Per inserted row, or for the assignments: the parameter of each column, None where
            it is not a parameter alone. None: not known.
        matches: What the condition says of every row that is updated or deleted.
        parameters: How many; where it is another number, nothing of this holds.
        adds_only: No row that is there is changed.
    """

    verb: Verb
    word: str
    table: str = ""
    columns: tuple[str, ...] | None = None
    places: tuple[dict[str, int | None], ...] | None = None
    matches: tuple[Match, ...] = ()
    parameters: int = 0
    adds_only: bool = False

    @property
    def is_write(self) -> bool:
        return self.verb not in (Verb.READ, Verb.CONTROL)


def analyse(sql: str) -> Statement:
    """What *sql* does; its parameters stand as `%s`."""
    return _cached(sql) if len(sql) <= CACHED_LENGTH else _analyse(sql)


def is_read(sql: str) -> bool:
    """Whether *sql* is surely a plain query, told at once."""
    return sql[:7] == "SELECT " and ";" not in sql


def sole_table(sql: str) -> str:
    """The one table that *sql* can write, told at once; empty where it may be another, too."""
    found = _SOLE.match(sql)
    return unquoted(found["table"]) if found and ";" not in sql else ""


def _analyse(sql: str) -> Statement:
    found = _FIRST_WORD.match(sql)
    word = found[1].upper() if found else ""
    body = sql.rstrip().rstrip(";")
    if ";" not in body:
        # MariaDB has SET STATEMENT … FOR UPDATE t …, and an ANALYZE that executes.
        is_control = word in _CONTROLS and not _WRITES.search(body)
        if is_control or _CREATE.match(body):
            return Statement(Verb.CONTROL, word)
        if word == "SELECT" or (word in _READS and not _WRITES.search(body)):
            return Statement(Verb.READ, word)
    parse = _PARSERS.get(word)
    return (parse(body) if parse is not None else None) or Statement(Verb.OTHER, word)


_cached = lru_cache(maxsize=512)(_analyse)


def _insert(sql: str) -> Statement | None:
    head = _INSERT.fullmatch(sql)
    if head is None or _WRITES.search(_CONFLICT.sub("", head["rest"])):
        return None
    columns = tuple(map(unquoted, _split(head["columns"]))) if head["columns"] else None
    values = _VALUES.fullmatch(head["rest"])
    places = _rows(columns, values["rows"]) if columns and values else None
    has_conflict = _CONFLICT.search(head["rest"])
    return Statement(
        Verb.INSERT,
        "INSERT",
        unquoted(head["table"]),
        columns,
        places,
        parameters=sql.count("%s"),
        adds_only=not head["way"] and not has_conflict,
    )


def _rows(columns: tuple[str, ...], rows: str) -> tuple[dict[str, int | None], ...] | None:
    at, found = 0, []
    for row in rows[1:-1].split("), ("):
        places: list[int | None] = []
        for value in row.split(", "):
            is_parameter = value == "%s"
            places.append(at if is_parameter else None)
            at += is_parameter
        if len(places) != len(columns):
            return None
        found.append(dict(zip(columns, places, strict=True)))
    return tuple(found)


def _update(sql: str) -> Statement | None:
    head = _UPDATE.match(sql)
    pieces = pieces_of(sql, head.end()) if head else None
    if head is None or pieces is None:
        return None
    assignments, condition = clauses(pieces)
    places: dict[str, int | None] = {}
    for part in parts(assignments, ","):
        assignment = _ASSIGNMENT.fullmatch(sql, part[0].start, part[-1].end)
        if assignment is None:
            return None
        is_parameter = assignment["value"] == "%s"
        places[unquoted(assignment["column"])] = part[0].parameters if is_parameter else None
    return Statement(
        Verb.UPDATE,
        "UPDATE",
        unquoted(head["table"]),
        tuple(places),
        (places,),
        tuple(_matches(sql, condition)),
        parameters=parameters_in(pieces),
    )


def _delete(sql: str) -> Statement | None:
    head = _DELETE.match(sql)
    pieces = pieces_of(sql, head.end()) if head else None
    if head is None or pieces is None:
        return None
    before, condition = clauses(pieces)
    if before:
        return None
    matches = tuple(_matches(sql, condition))
    table = unquoted(head["table"])
    return Statement(
        Verb.DELETE, "DELETE", table, (), None, matches, parameters=parameters_in(pieces)
    )


_PARSERS = {"INSERT": _insert, "UPDATE": _update, "DELETE": _delete}


def _matches(sql: str, condition: list[Piece]) -> Iterator[Match]:
    """What holds for every row that fulfils *condition*."""
    condition = unbracketed(condition)
    words = {p.text.upper() for p in condition if p.depth == condition[0].depth}
    odd = words & _NOT_ONLY_AND
    if odd == {"OR"} and "AND" not in words:
        # So does Django spell tuples where a database has none.
        groups = [_group(sql, part) for part in parts(condition, "OR")]
        yield from _joined(groups)
    elif not odd:
        yield from _conjuncts(sql, condition)


def _conjuncts(sql: str, condition: list[Piece]) -> Iterator[Match]:
    for part in parts(condition, "AND"):
        bare = unbracketed(part)
        match = _match(sql[bare[0].start : bare[-1].end], bare[0].parameters) if bare else None
        if match is not None:
            yield match


def _group(sql: str, part: list[Piece]) -> Match | None:
    """Of `a = %s AND b = %s`, and no more: a tuple."""
    bare = unbracketed(part)
    if any(p.depth == bare[0].depth and p.text.upper() in _NOT_ONLY_AND for p in bare):
        return None
    found = list(_conjuncts(sql, bare))
    if not found or len(found) != len(list(parts(bare, "AND"))):
        return None
    if any(each.many != 1 or len(each.columns) != 1 for each in found):
        return None
    return Match(tuple(each.columns[0] for each in found), found[0].start, 1)


def _joined(groups: list[Match | None]) -> Iterator[Match]:
    """The tuples of *groups* as one condition, where all are of the same columns."""
    first = groups[0]
    if first is not None and all(
        each is not None and each.columns == first.columns for each in groups
    ):
        yield first._replace(many=len(groups))


def _match(text: str, start: int) -> Match | None:
    if text == "0":
        return Match((), start, 0)
    if one := _ONE.fullmatch(text):
        return Match((unquoted(one["column"]),), start, (one["many"] or "%s").count("%s"))
    if tuples := _TUPLES.fullmatch(text):
        columns = tuple(unquoted(_last(name)) for name in _split(tuples["columns"]))
        values = (tuples["single"] or tuples["many"]).count("%s")
        many, rest = divmod(values, len(columns))
        return None if rest else Match(columns, start, many)
    return None


def _split(names: str) -> list[str]:
    return [match[0] for match in re.finditer(rf"{_NAME}(?:\.{_NAME})*", names)]


def _last(name: str) -> str:
    return [match[0] for match in re.finditer(_NAME, name)][-1]


def unquoted(name: str) -> str:
    """An identifier as the database knows it; a bare one in lower case, as PostgreSQL does."""
    if name[0] in '"`':
        return name[1:-1].replace(name[0] * 2, name[0])
    return name.lower()
