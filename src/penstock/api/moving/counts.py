"""How much there is of what: counted on both sides of a move and compared."""

from __future__ import annotations

from msgspec import Struct


class Counts(Struct, kw_only=True):
    """Numbers of things. ``points`` are different metric points: the same point written twice counts once."""

    experiments: int = 0
    runs: int = 0
    deleted_runs: int = 0
    params: int = 0
    tags: int = 0
    points: int = 0
    datasets: int = 0
    logged_models: int = 0
    registered_models: int = 0
    versions: int = 0
    aliases: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0


class Line(Struct, frozen=True):
    """One kind of thing: how many there were, how many there are."""

    what: str
    there: int
    here: int


class MoveReport(Struct, frozen=True, kw_only=True):
    """What a move did. ``left_in_place`` are artifact locations in remote storage, which stay where they are."""

    origin: str
    destination: str
    lines: tuple[Line, ...]
    unchanged_runs: int = 0
    left_in_place: tuple[str, ...] = ()
    without_artifacts: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether everything that was there is here."""
        return all(line.there == line.here for line in self.lines)


def compare(there: Counts, here: Counts) -> tuple[Line, ...]:
    """One line a kind."""
    return tuple(
        Line(name.replace("_", " "), getattr(there, name), getattr(here, name)) for name in Counts.__struct_fields__
    )
