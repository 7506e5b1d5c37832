"""Manifest files: ``[{"prefix": "s3://bucket/folder/"}, "name", ...]``, as jobs read and captures write them."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix

import msgspec

from penstock.ground.errors import InvalidInput


def read_manifest(content: bytes) -> tuple[str, list[str]]:
    """The prefix and the names under it. Raises InvalidInput."""
    try:
        head, *names = msgspec.json.decode(content, type=list[dict[str, str] | str])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(f"It is no list of a prefix and names: {error}.") from error
    if not isinstance(head, dict) or not head.get("prefix", "").startswith("s3://"):
        raise InvalidInput('It must begin with {"prefix": "s3://..."}.')
    found = [name for name in names if isinstance(name, str)]
    if len(found) != len(names) or not found:
        raise InvalidInput("After the prefix it must name objects, each as a string.")
    return head["prefix"], found


def write_manifest(uris: Sequence[str]) -> bytes:
    """The manifest of objects; their folder in common is the prefix."""
    prefix = commonprefix(uris)  # noqa: RUF071 - cut back to a folder in the next line
    prefix = prefix[: prefix.rindex("/") + 1]
    return msgspec.json.encode([{"prefix": prefix}, *(uri.removeprefix(prefix) for uri in uris)])
