"""What a stable code means: an error of the tree in ground/errors.py, or a failure of the table in deploy/."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from penstock.deploy.diagnose import get_diagnosis
from penstock.deploy.failure import DeploymentFailed
from penstock.ground.errors import NotFound, PenstockError
from penstock.ground.names import near


class Explanation(Struct, frozen=True, kw_only=True):
    """A code told in words; what is not known is ''."""

    code: str
    summary: str
    cause: str = ""
    advice: str = ""
    next_command: str = ""
    exit_code: int | None = None


def explain_code(code: str) -> Explanation:
    """What ``PENSTOCK-E0200`` or ``PENSTOCK-D007`` means. Raises NotFound with near matches."""
    wanted = code.strip().upper()
    if "D" in wanted.removeprefix("PENSTOCK-")[:1]:
        found = get_diagnosis(wanted)
        summary = f"A known failure, found in: {found.where}."
        return Explanation(
            code=found.code, summary=summary, cause=found.cause, advice=found.advice, next_command=found.next_command
        )
    for kind in _kinds(PenstockError):
        if wanted in (kind.code, kind.code.removeprefix("PENSTOCK-")):
            return _of_kind(kind)
    codes = [kind.code for kind in _kinds(PenstockError)]
    raise NotFound(f"No error has the code {code!r}.{near(wanted, codes)}", fix="Copy it from the error's last line.")


def _of_kind(kind: type[PenstockError]) -> Explanation:
    again = "The same call may succeed later." if kind.retryable else "The same call will fail again as it is."
    return Explanation(
        code=kind.code,
        summary=(kind.__doc__ or "").strip().splitlines()[0],
        advice=f"{again} The error's own last sentence says the fix.",
        exit_code=kind.exit_code,
    )


def _kinds(kind: type[PenstockError]) -> Iterator[type[PenstockError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


_LOADED = (DeploymentFailed,)  # Errors that live beside the tree are known once their room is imported.
