"""Lists that know the token of their next page, and walks over all pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from penstock.ground.entities import Page

T = TypeVar("T")
V = TypeVar("V")


class PagedList(list[T]):
    """A list with the ``token`` of the page after it; None on the last page."""

    def __init__(self, items: list[T], token: str | None) -> None:
        super().__init__(items)
        self.token = token


def viewed(page: Page[T], view: Callable[[T], V]) -> PagedList[V]:
    """``page`` with each item as ``view`` shows it."""
    return PagedList([view(item) for item in page.items], page.next_page_token)


def every(read_page: Callable[[int, str | None], Page[T]], *, limit: int | None, page_size: int) -> Iterator[T]:
    """The items of all pages, at most ``limit``; ``read_page(size, token)`` reads one."""
    left, token = limit, None
    while left is None or left > 0:
        page = read_page(page_size if left is None else min(left, page_size), token)
        yield from page.items
        left = None if left is None else left - len(page.items)
        token = page.next_page_token
        if not token:
            return
