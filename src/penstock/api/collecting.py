"""``gc``: deleted runs, logged models and experiments removed for good, after a look at what that would take."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from penstock.artifacts.open import open_artifacts
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import InvalidInput, PenstockError
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import load_settings
from penstock.store.erasing import Erasable, Erasing
from penstock.store.open import open_store


class Garbage(Struct, frozen=True, kw_only=True):
    """One deleted thing: its database rows, its files and their bytes; ``kept_for`` says who still needs it."""

    kind: str
    identity: str
    experiment_id: str
    rows: int
    files: int
    size_bytes: int
    kept_for: str | None = None


class GcReport(Struct, frozen=True, kw_only=True):
    """What would go, or went. ``problems`` are artifacts that could not be removed; their rows stay for another try."""

    things: tuple[Garbage, ...]
    rows: int
    files: int
    size_bytes: int
    is_done: bool
    problems: tuple[str, ...] = ()


def gc(
    *,
    apply: bool = False,
    older_than_days: float = 0,
    tracking_uri: str | None = None,
    artifacts_destination: str | None = None,
    progress: Progress = SILENT,
) -> GcReport:
    """The deleted things with their rows and bytes: only looked at, or with ``apply`` removed for good.

    ``older_than_days`` leaves alone what was deleted later than that. A run whose files a registered model version
    still needs is kept, and the report says for which. ``artifacts_destination`` is where the store's server keeps
    proxied artifacts. Raises InvalidInput for a server: it collects in its own store.
    """
    settings = load_settings()
    uri = tracking_uri or settings.tracking_uri
    if uri.startswith("http"):
        raise InvalidInput(f"{uri} is a server.", fix="Run `penstock gc` where its store is, with --tracking-uri.")
    before_ms = SYSTEM_CLOCK.now_ms() - int(older_than_days * 86_400_000)
    with open_store(uri, artifact_root=str(settings.state_dir / "artifacts")) as store:
        erasing = Erasing(store.tracking)
        found = erasing.list_erasable(before_ms=before_ms)
        things = tuple(_measured(thing, artifacts_destination) for thing in found)
        free = [(thing, garbage) for thing, garbage in zip(found, things, strict=True) if thing.kept_for is None]
        if not apply:
            return _report(things, [garbage for _, garbage in free], rows=None)
        with progress.phase("Removing artifacts"):
            problems = {
                thing.identity: problem for thing, _ in free if (problem := _remove_files(thing, artifacts_destination))
            }
        gone = [(thing, garbage) for thing, garbage in free if thing.identity not in problems]
        rows = erasing.erase([thing for thing, _ in gone])
    return _report(things, [garbage for _, garbage in gone], rows=rows, problems=tuple(problems.values()))


def _measured(thing: Erasable, destination: str | None) -> Garbage:
    sizes: list[int] = []
    if thing.artifact_uri:
        artifacts = open_artifacts(thing.artifact_uri, destination=destination)
        sizes = [info.size_bytes or 0 for info in artifacts.files()]
    return Garbage(
        kind=thing.kind,
        identity=thing.identity,
        experiment_id=thing.experiment_id,
        rows=thing.rows,
        files=len(sizes),
        size_bytes=sum(sizes),
        kept_for=thing.kept_for,
    )


def _remove_files(thing: Erasable, destination: str | None) -> str | None:
    """Why the files could not be removed, or None; files that are gone already are fine."""
    if not thing.artifact_uri:
        return None
    try:
        open_artifacts(thing.artifact_uri, destination=destination).delete("")
    except PenstockError as error:
        return f"{thing.kind} {thing.identity}: {error}"
    return None


def _report(
    things: Sequence[Garbage], going: Sequence[Garbage], *, rows: int | None, problems: tuple[str, ...] = ()
) -> GcReport:
    return GcReport(
        things=tuple(things),
        rows=sum(each.rows for each in going) if rows is None else rows,
        files=sum(each.files for each in going),
        size_bytes=sum(each.size_bytes for each in going),
        is_done=rows is not None,
        problems=problems,
    )
