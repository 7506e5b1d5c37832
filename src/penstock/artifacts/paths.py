"""Artifact paths: relative, '/'-separated, and unable to mean anything outside their root."""

from __future__ import annotations

import re
from urllib.parse import unquote

from penstock.ground.errors import InvalidInput

_DRIVE_OR_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[/\\]|[A-Za-z]:$")
_DECODINGS = 5


def artifact_path(text: str) -> str:
    """``text`` without empty and '.' parts; '' is the root. Raises InvalidInput for a path that could climb out.

    Every percent-decoding of the text has to be harmless too, because a path crosses servers and proxies that decode
    once more than they should (CVE-2024-1560). ``artifact_path("a//./b.txt") == "a/b.txt"``.
    """
    form = text
    for _ in range(_DECODINGS):
        _refuse_climbing(text, form)
        decoded = unquote(form)
        if decoded == form:
            return "/".join(part for part in text.split("/") if part not in ("", "."))
        form = decoded
    raise InvalidInput(f"Invalid path {text!r}: it is percent-encoded too often.", fix="Write the path plainly.")


def join_path(folder: str, name: str) -> str:
    """``name`` below ``folder``, either of which may be ''."""
    return f"{folder}/{name}" if folder and name else folder or name


def _refuse_climbing(text: str, form: str) -> None:
    hostile = "\x00" in form or "\\" in form or form.startswith("/") or ".." in form.split("/")
    if hostile or _DRIVE_OR_SCHEME.match(form):
        raise InvalidInput(
            f"Invalid path {text!r}: it could lead outside its artifact root.",
            fix="Use a relative path with '/' between its parts and no '..'.",
        )
