"""Pages of a longer list, and the opaque tokens that ask for the next one."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from penstock.ground.entities import Page
from penstock.ground.errors import InvalidInput

T = TypeVar("T")


class _Token(msgspec.Struct, frozen=True):
    offset: int
    bound_to: str = ""


class Window(msgspec.Struct, frozen=True):
    """Rows ``offset`` to ``offset + limit`` of a list. One row more is read, to know whether a page follows."""

    offset: int
    limit: int
    bound_to: str = ""

    @classmethod
    def open(cls, limit: int, page_token: str | None, *, maximum: int, bound_to: str = "") -> Window:
        """The window a caller asked for.

        ``bound_to`` is the question itself: a token given for another question is refused. Raises InvalidInput.
        """
        if not 1 <= limit <= maximum:
            raise InvalidInput(
                f"Invalid value {limit} for parameter 'max_results' supplied: "
                f"It must be at least 1 and at most {maximum}."
            )
        mark = hashlib.sha256(bound_to.encode("utf-8", "replace")).hexdigest()[:16] if bound_to else ""
        return cls(_decode(page_token, mark), limit, mark)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of :page_limit and :page_offset."""
        return {"page_limit": self.limit + 1, "page_offset": self.offset}

    def page(self, found: Sequence[T]) -> Page[T]:
        """The page made of ``found``, which holds up to one item more than the page."""
        if len(found) <= self.limit:
            return Page(items=tuple(found))
        return Page(items=tuple(found[: self.limit]), next_page_token=self.next_token)

    @property
    def next_token(self) -> str:
        token = _Token(self.offset + self.limit, self.bound_to)
        return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _decode(page_token: str | None, bound_to: str) -> int:
    if not page_token:
        return 0
    try:
        token = msgspec.json.decode(base64.b64decode(page_token, altchars=b"-_", validate=True), type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise InvalidInput("Invalid page token.", fix="Send the next_page_token of the previous answer.") from None
    if not 0 <= token.offset < 1 << 62 or token.bound_to != bound_to:
        raise InvalidInput("The page token belongs to another search.", fix="Start again without a page token.")
    return token.offset
