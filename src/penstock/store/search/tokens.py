"""Filter text -> tokens."""

from __future__ import annotations

import re
from enum import Enum, auto

from msgspec import Struct

from penstock.ground.errors import InvalidInput

MAX_TEXT_CHARS = 200_000


class Kind(Enum):
    NAME = auto()
    TEXT = auto()
    NUMBER = auto()
    OPERATOR = auto()
    OPEN = auto()
    CLOSE = auto()
    COMMA = auto()


class Token(Struct, frozen=True):
    """``text`` is the token's value without quotes; ``source`` is how it was written, for messages."""

    kind: Kind
    text: str
    source: str
    parts: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """A bare word in capitals, for keywords; empty when the token is anything else."""
        return self.source.upper() if self.kind is Kind.NAME else ""


_QUOTED_NAME = r'`[^`]*`|"(?:[^"]|"")*"'
_PATTERN = re.compile(
    rf"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.`"]))
  | (?P<name>\w[\w\-/.]*\.(?:{_QUOTED_NAME})|\w[\w\-/.]*|`[^`]*`\.(?:{_QUOTED_NAME}|[\w\-/.]+)|`[^`]*`)
  | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
  | (?P<operator>>=|<=|!=|=|<|>)
  | (?P<open>\()
  | (?P<close>\))
  | (?P<comma>,)
    """,
    re.VERBOSE,
)


def tokenize(text: str) -> list[Token]:
    """The tokens of a filter. Raises InvalidInput at the first character that begins none."""
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidInput(f"The filter has {len(text)} characters.", fix=f"Use at most {MAX_TEXT_CHARS}.")
    if "\x00" in text:
        raise InvalidInput("Invalid clause(s) in filter string: it holds a zero byte.", fix="Remove it.")
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            raise invalid_clause(text[position : position + 100])
        if match.lastgroup != "space":
            tokens.append(_token(match.lastgroup or "", match.group()))
        position = match.end()
    return tokens


def invalid_clause(text: str) -> InvalidInput:
    """The error for a piece of a filter that is no clause."""
    return InvalidInput(
        f"Invalid clause(s) in filter string: '{text}'.",
        fix="Join comparisons such as metrics.loss < 0.5 with AND; OR and groups are not supported.",
    )


def _token(group: str, source: str) -> Token:
    if group == "name":
        parts = _name_parts(source)
        return Token(Kind.NAME, ".".join(parts), source, parts)
    if group == "text":
        quote = source[0]
        text = source[1:-1].replace(quote * 2, quote)
        return Token(Kind.TEXT, text, source, (text,) if quote == '"' else ())
    return Token(Kind[group.upper()], source, source)


def _name_parts(source: str) -> tuple[str, ...]:
    """``metrics."a b"`` -> ("metrics", "a b"): what stands before the first dot outside quotes, and the rest."""
    if source.startswith("`"):
        end = source.index("`", 1)
        head, rest = source[1:end], source[end + 2 :]
    else:
        head, _, rest = source.partition(".")
    if not rest:
        return (head,)
    if rest[-1] == rest[0] == "`" and len(rest) > 1:
        rest = rest[1:-1]
    elif rest[-1] == rest[0] == '"' and len(rest) > 1:
        rest = rest[1:-1].replace('""', '"')
    return (head, rest)
