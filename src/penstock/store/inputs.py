"""What a run read and made: datasets and logged models."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from penstock.ground.entities import Dataset, DatasetInput, ModelInput, ModelOutput, Tag
from penstock.store import limits
from penstock.store.batches import RunHead, active_head
from penstock.store.database import Session
from penstock.store.part import Part
from penstock.store.queries import Queries

SQL = Queries("inputs")
TAG_CONTEXT = "mlflow.data.context"
MAX_DATASET_SUMMARIES = 1000


class Links(Struct, frozen=True):
    """What one run is linked to."""

    datasets: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[ModelInput, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()


class DatasetSummary(Struct, frozen=True, kw_only=True):
    """A dataset of an experiment and one context it was used in."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class Inputs(Part):
    """Link runs to datasets and logged models."""

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[ModelInput] = ()
    ) -> None:
        """Links what the run read. Raises NotFound for the run, InvalidInput."""
        limits.check_dataset_inputs(datasets)

        def work(session: Session) -> None:
            head = active_head(session, run_id)
            for entry in datasets:
                _add_dataset(session, head, entry)
            rows = {model.model_id: (head.run_no, "input", model.model_id, 0) for model in models}
            session.many(SQL.add_models, sorted(rows.values()))

        self.database.write(work)

    def log_outputs(self, run_id: str, *, models: Sequence[ModelOutput]) -> None:
        """Links the logged models that the run made. Raises NotFound for the run."""

        def work(session: Session) -> None:
            head = active_head(session, run_id)
            rows = {model.model_id: (head.run_no, "output", model.model_id, model.step) for model in models}
            session.many(SQL.add_models, sorted(rows.values()))

        self.database.write(work)

    def list_datasets(self, experiment_ids: Sequence[str]) -> tuple[DatasetSummary, ...]:
        """The datasets used in these experiments, at most 1000. Raises InvalidInput."""
        numbers = [limits.experiment_number(text) for text in experiment_ids]
        wanted = {"experiment_ids": numbers, "page_limit": MAX_DATASET_SUMMARIES}
        rows = self.database.read(lambda session: session.rows(SQL.known_datasets, wanted))
        return tuple(
            DatasetSummary(experiment_id=str(row[0]), name=row[1], digest=row[2], context=row[3]) for row in rows
        )


def _add_dataset(session: Session, head: RunHead, entry: DatasetInput) -> None:
    identity = {"experiment_id": head.experiment_id, "name": entry.dataset.name, "digest": entry.dataset.digest}
    rest = {
        "source_type": entry.dataset.source_type,
        "source": entry.dataset.source,
        "dataset_schema": entry.dataset.schema,
        "profile": entry.dataset.profile,
    }
    session.run(SQL.ensure_dataset, {**identity, **rest})
    number = (session.row(SQL.dataset_number, identity) or (0,))[0]
    context = next((tag.value for tag in entry.tags if tag.key == TAG_CONTEXT), None)
    tags = msgspec.json.encode([(tag.key, tag.value) for tag in entry.tags]).decode()
    values = {"run_no": head.run_no, "dataset_no": number, "context": context, "tags": tags}
    session.run(SQL.add_dataset, values)


def read_links(session: Session, run_nos: Sequence[int]) -> dict[int, Links]:
    """What several runs are linked to, by run number; runs without links are absent."""
    datasets: dict[int, list[DatasetInput]] = {}
    for row in session.rows(SQL.datasets_of_runs, {"run_nos": list(run_nos)}):
        dataset = Dataset(name=row[1], digest=row[2], source_type=row[3], source=row[4], schema=row[5], profile=row[6])
        pairs = msgspec.json.decode(row[7], type=list[tuple[str, str]])
        tags = tuple(Tag(key=key, value=value) for key, value in pairs)
        datasets.setdefault(row[0], []).append(DatasetInput(dataset=dataset, tags=tags))
    read: dict[int, list[ModelInput]] = {}
    made: dict[int, list[ModelOutput]] = {}
    for number, direction, model_id, step in session.rows(SQL.models_of_runs, {"run_nos": list(run_nos)}):
        if direction == "input":
            read.setdefault(number, []).append(ModelInput(model_id=model_id))
        else:
            made.setdefault(number, []).append(ModelOutput(model_id=model_id, step=step))
    return {
        number: Links(tuple(datasets.get(number, ())), tuple(read.get(number, ())), tuple(made.get(number, ())))
        for number in {*datasets, *read, *made}
    }
