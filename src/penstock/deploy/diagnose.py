"""What a failure's words mean: the table in failures.toml leads from a fragment to cause, advice and command."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from penstock.ground.errors import NotFound
from penstock.ground.names import near


class Diagnosis(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A known failure. ``where`` says which text to look in: API, FailureReason, log or invocation."""

    code: str
    fragment: str
    where: str
    cause: str
    advice: str
    next_command: str
    decisive: bool = False

    def fix(self) -> str:
        """The last sentence of an error message: what to do, what to type, and the code to look up."""
        return f"{self.advice} Next: `{self.next_command}` ({self.code})."

    def fits(self, text: str) -> bool:
        return re.search(self.fragment, text, re.IGNORECASE | re.DOTALL) is not None


@cache
def known_failures() -> tuple[Diagnosis, ...]:
    """The rows of the table, in the order in which they are tried."""
    text = files("penstock.deploy").joinpath("failures.toml").read_text(encoding="utf-8")
    return tuple(msgspec.convert(tomllib.loads(text)["failure"], list[Diagnosis]))


def diagnose(message: str, logs: Iterable[str] = ()) -> Diagnosis | None:
    """The row that explains ``message``. The container's last lines win, unless the message itself is decisive."""
    by_message = next((row for row in known_failures() if row.fits(message)), None)
    if by_message is not None and by_message.decisive:
        return by_message
    text = "\n".join(logs)
    by_log = next((row for row in known_failures() if row.where == "log" and text and row.fits(text)), None)
    return by_log or by_message


def get_diagnosis(code: str) -> Diagnosis:
    """The row with that code, written ``PENSTOCK-D007`` or ``D007``. Raises NotFound with near matches."""
    wanted = code.strip().upper()
    for row in known_failures():
        if wanted in (row.code, row.code.removeprefix("PENSTOCK-")):
            return row
    similar = near(wanted, [row.code for row in known_failures()])
    raise NotFound(f"No failure has the code {code!r}.", fix=f"Codes look like PENSTOCK-D007.{similar}")
