"""Experiments: the named folders that runs lie in."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.ground.entities import Experiment, LifecycleStage, Page, Tag, ViewType
from penstock.ground.errors import AlreadyExists, InvalidInput, NotFound
from penstock.store import limits
from penstock.store.database import Row, Session
from penstock.store.part import Part
from penstock.store.queries import Queries
from penstock.store.search.leading import run_search
from penstock.store.search.pages import Window
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import parse_filter, parse_order
from penstock.store.search.vocabulary import EXPERIMENTS

SQL = Queries("experiments")
DEFAULT_NAME = "Default"
MAX_PAGE = 50_000


class Experiments(Part):
    """Create, read, change and search experiments."""

    def create_experiment(self, name: str, *, artifact_location: str | None = None, tags: Sequence[Tag] = ()) -> str:
        """The new experiment's id. Raises AlreadyExists when the name is taken, also by a deleted experiment."""
        limits.check_experiment_name(name)
        limits.check_location(artifact_location or "")
        _check_tags(tags)

        def work(session: Session) -> str:
            values = {"name": name, "artifact_location": artifact_location or "", "now_ms": self.clock.now_ms()}
            row = session.row(SQL.create, values)
            if row is None:
                raise _taken(session, name)
            if not artifact_location:
                location = f"{self.artifact_root}/{row[0]}"
                session.run(SQL.locate, {"experiment_id": row[0], "artifact_location": location})
            session.many(SQL.set_tags, [(row[0], tag.key, tag.value) for tag in _unique(tags)])
            return str(row[0])

        return self.database.write(work)

    def ensure_default_experiment(self) -> None:
        """Makes experiment 0, 'Default', unless the database has experiments already."""
        now_ms = self.clock.now_ms()
        values = {
            "experiment_id": 0,
            "name": DEFAULT_NAME,
            "artifact_location": f"{self.artifact_root}/0",
            "lifecycle_stage": LifecycleStage.ACTIVE.value,
            "creation_time_ms": now_ms,
            "last_update_time_ms": now_ms,
        }
        empty = "SELECT 1 FROM experiments LIMIT 1"
        if self.database.read(lambda session: session.row(empty)) is None:
            self.database.write(lambda session: session.run(SQL.create_with_id, values))

    def get_experiment(self, experiment_id: str) -> Experiment:
        """The experiment, deleted ones too. Raises NotFound."""
        return self.database.read(lambda session: read_experiment(session, experiment_id))

    def find_experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of that name, deleted ones too, or None."""

        def work(session: Session) -> Experiment | None:
            row = session.row(SQL.by_name, {"name": name})
            return _with_tags(session, [row])[0] if row else None

        return self.database.read(work)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Gives an active experiment another name. Raises NotFound, InvalidInput, AlreadyExists."""
        limits.check_experiment_name(name)

        def work(session: Session) -> None:
            experiment = active_experiment(session, experiment_id)
            other = session.row(SQL.by_name, {"name": name})
            if other is not None and other[0] != int(experiment.experiment_id):
                raise _taken(session, name)
            values = {"experiment_id": int(experiment_id), "name": name, "now_ms": self.clock.now_ms()}
            session.run(SQL.rename, values)

        self.database.write(work)

    def delete_experiment(self, experiment_id: str) -> None:
        """Marks the experiment and its runs as deleted. Raises NotFound when it is not there or deleted already."""
        self._move_experiment(experiment_id, LifecycleStage.DELETED, SQL.delete_runs)

    def restore_experiment(self, experiment_id: str) -> None:
        """Brings a deleted experiment and its runs back. Raises NotFound when there is no such deleted experiment."""
        self._move_experiment(experiment_id, LifecycleStage.ACTIVE, SQL.restore_runs)

    def set_experiment_tag(self, experiment_id: str, tag: Tag) -> None:
        """Sets one tag of an active experiment. Raises NotFound, InvalidInput."""
        _check_tags((tag,))

        def work(session: Session) -> None:
            number = int(active_experiment(session, experiment_id).experiment_id)
            session.many(SQL.set_tags, [(number, tag.key, tag.value)])
            session.run(SQL.touch, {"experiment_id": number, "now_ms": self.clock.now_ms()})

        self.database.write(work)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Removes one tag of an active experiment. Raises NotFound when the experiment or the tag is not there."""

        def work(session: Session) -> None:
            number = int(active_experiment(session, experiment_id).experiment_id)
            if not session.run(SQL.delete_tag, {"experiment_id": number, "key": key}):
                raise NotFound(f"No tag with name: {key} in experiment with ID {experiment_id}.")
            session.run(SQL.touch, {"experiment_id": number, "now_ms": self.clock.now_ms()})

        self.database.write(work)

    def search_experiments(
        self,
        *,
        filter: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        limit: int = 1000,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """Experiments that match, newest first unless ``order_by`` says otherwise. Raises InvalidInput."""
        clauses, order = parse_filter(filter, EXPERIMENTS), parse_order(order_by, EXPERIMENTS)
        window = Window.open(limit, page_token, maximum=MAX_PAGE)
        search = compile_search(EXPERIMENTS, clauses, order, view=view)

        def work(session: Session) -> Page[Experiment]:
            rows = run_search(session, search, window.parameters)
            return window.page(_with_tags(session, rows))

        return self.database.read(work)

    def _move_experiment(self, experiment_id: str, stage: LifecycleStage, move_runs: str) -> None:
        def work(session: Session) -> None:
            experiment = read_experiment(session, experiment_id)
            if experiment.lifecycle_stage == stage:
                raise _absent(experiment_id, "active" if stage is LifecycleStage.DELETED else "deleted")
            values = {"experiment_id": int(experiment_id), "now_ms": self.clock.now_ms()}
            session.run(SQL.set_stage, {**values, "stage": stage.value})
            session.run(move_runs, values if ":now_ms" in move_runs else {"experiment_id": int(experiment_id)})

        self.database.write(work)


def read_experiment(session: Session, experiment_id: str) -> Experiment:
    """The experiment, deleted ones too. Raises NotFound."""
    number = limits.experiment_number(experiment_id)
    row = session.row(SQL.by_id, {"experiment_id": number})
    if row is None:
        raise _absent(experiment_id)
    return _with_tags(session, [row])[0]


def active_experiment(session: Session, experiment_id: str) -> Experiment:
    """The experiment. Raises NotFound when it is not there, InvalidInput when it is deleted."""
    experiment = read_experiment(session, experiment_id)
    if experiment.lifecycle_stage is not LifecycleStage.ACTIVE:
        raise InvalidInput(
            f"The experiment {experiment_id} must be in the 'active' state. Current state is deleted.",
            fix="Restore it first.",
        )
    return experiment


def _with_tags(session: Session, rows: Sequence[Row]) -> list[Experiment]:
    tags: dict[int, list[Tag]] = {row[0]: [] for row in rows}
    for number, key, value in session.rows(SQL.tags, {"ids": list(tags)}):
        tags[number].append(Tag(key=key, value=value))
    return [_experiment(row, tuple(tags[row[0]])) for row in rows]


def _experiment(row: Row, tags: tuple[Tag, ...]) -> Experiment:
    return Experiment(
        experiment_id=str(row[0]),
        name=row[1],
        artifact_location=row[2],
        lifecycle_stage=LifecycleStage(row[3]),
        creation_time_ms=row[4],
        last_update_time_ms=row[5],
        tags=tags,
    )


def _check_tags(tags: Sequence[Tag]) -> None:
    for tag in tags:
        limits.check_pair(tag, limit=limits.MAX_EXPERIMENT_TAG_CHARS)


def _unique(tags: Sequence[Tag]) -> list[Tag]:
    """The last tag of each key."""
    return list({tag.key: tag for tag in tags}.values())


def _absent(experiment_id: str, stage: str = "") -> NotFound:
    kind = f" that is {stage}" if stage else ""
    return NotFound(f"No Experiment with id={experiment_id} exists{kind}.", fix="List them with experiments/search.")


def _taken(session: Session, name: str) -> AlreadyExists:
    row = session.row(SQL.by_name, {"name": name})
    if row is not None and row[3] == LifecycleStage.DELETED:
        return AlreadyExists(
            f"Experiment '{name}' already exists in deleted state.",
            fix=f"Restore experiment {row[0]}, delete it for good with 'penstock gc', or choose another name.",
        )
    return AlreadyExists(f"Experiment(name={name}) already exists.", fix="Use it, or choose another name.")
