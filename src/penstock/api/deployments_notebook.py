"""Deployments in a notebook: a plan shows itself, ``plan.apply()`` gives an endpoint, ``endpoint.predict(df)`` asks it.

>>> plan = penstock.plan("iris@champion", name="iris")      # doctest: +SKIP
>>> with plan.apply() as endpoint:                           # deleted when the block ends
...     endpoint.predict(frame)
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from penstock.api.deployments import Prepared, apply_prepared, prepare
from penstock.api.deployments_data import encode_inputs
from penstock.api.deployments_model import ModelSource
from penstock.api.deployments_target import SAGEMAKER, target_of
from penstock.deploy.delete import DeletionReport
from penstock.deploy.logs import LogLine
from penstock.deploy.metrics import EndpointMetrics
from penstock.deploy.options import read_options
from penstock.deploy.status import EndpointStatus
from penstock.deploy.steps import SIGNS, Action, render
from penstock.deploy.steps import Plan as PlanValue
from penstock.deploy.targets.port import Target
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import load_settings
from penstock.images.build import BuiltImage

_COLORS = {Action.CREATE: "#1a7f37", Action.CHANGE: "#9a6700", Action.DELETE: "#cf222e", Action.REUSE: "#656d76"}
_STYLE = "font-family:ui-monospace,monospace;font-size:12px;border-collapse:collapse"


class Plan:
    """A plan that shows itself and can be applied."""

    def __init__(self, prepared: Prepared, target: Target) -> None:
        self._prepared = prepared
        self._target = target

    @property
    def value(self) -> PlanValue:
        """The plan as a plain value."""
        return self._prepared.plan

    def apply(self, *, progress: Progress = SILENT) -> Endpoint:
        """Carries it out and gives what answers. Ctrl-C leaves the work for the same call to go on with."""
        made = apply_prepared(self._prepared, target=self._target, progress=progress)
        return Endpoint(made.name, self._target)

    def __repr__(self) -> str:
        return render(self.value)

    def _repr_html_(self) -> str:
        rows = []
        for step in self.value.steps:
            color = _COLORS[step.action]
            cells = (SIGNS[step.action], step.resource.kind.value, step.resource.name)
            rows.append(f'<tr style="color:{color}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
            for change in step.changes:
                text = f"{change.setting}: <del>{escape(change.before)}</del> → <ins>{escape(change.after)}</ins>"
                rows.append(f'<tr style="color:{color}"><td></td><td></td><td>{text}</td></tr>')
        cost = self.value.cost
        price = f"${cost.per_hour:.3f} an hour, ${cost.per_month:.0f} a month" if cost.per_hour else "no price known"
        title = f"Plan for {escape(self.value.name)} in {escape(self.value.region)} · {price}"
        return f'<table style="{_STYLE}"><caption>{title}</caption>{"".join(rows)}</table>'


class Endpoint:
    """A live endpoint: a card, and the calls one makes on it. As a context it deletes itself at the end."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self._target = target

    def predict(self, data: Any, *, variant: str | None = None) -> Any:
        """The predictions for a DataFrame, an array, a list, a dict of inputs, or a body as text or bytes."""
        body, content_type = encode_inputs(data)
        answer = self._target.invoke(self.name, body, content_type=content_type, variant=variant)
        decoded = msgspec.json.decode(answer.body)
        return decoded.get("predictions", decoded) if isinstance(decoded, dict) else decoded

    def status(self) -> EndpointStatus:
        return self._target.status(self.name)

    def logs(self, limit: int = 50) -> tuple[LogLine, ...]:
        return self._target.logs(self.name, limit=limit)

    def metrics(self, minutes: int = 60) -> EndpointMetrics:
        return self._target.metrics(self.name, minutes=minutes)

    def delete(self) -> DeletionReport:
        """Removes the deployment and says whether anything is left."""
        return self._target.delete(self.name)

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.delete()

    def __repr__(self) -> str:
        found = self.status()
        return f"<Endpoint {self.name}: {found.status}, serves {found.model_uri or 'a model'}>"

    def _repr_html_(self) -> str:
        found = self.status()
        rows = {
            "status": f"{found.status} {found.failure_reason}".strip(),
            "model": f"{found.model_uri} {found.model_version}".strip(),
            "expires": found.expires or "never",
            "instances": ", ".join(f"{one.name}: {one.instances} {one.instance_type}" for one in found.variants),
            "image": ", ".join(one.image.rpartition("@")[2][:19] for one in found.variants),
            "call": f"endpoint.predict(frame), or penstock invoke {self.name} --example",
        }
        cells = "".join(f"<tr><th>{key}</th><td>{escape(value)}</td></tr>" for key, value in rows.items())
        return f'<table style="{_STYLE}"><caption>{escape(self.name)}</caption>{cells}</table>'


def plan(
    model: str | Path | ModelSource,
    *,
    name: str,
    to: str = SAGEMAKER,
    image: BuiltImage | str | None = None,
    progress: Progress = SILENT,
    **options: Any,
) -> Plan:
    """What deploying ``model`` would do, as a card; ``options`` are those of the project file, by name.

    ``plan("iris@champion", name="iris", instance_type="ml.c5.large", env={"A": "1"})``
    """
    settings = load_settings()
    target = target_of(to, settings)
    prepared = prepare(
        model,
        name=name,
        options=read_options(options),
        image=image,
        target=target,
        settings=settings,
        progress=progress,
    )
    return Plan(prepared, target)


def endpoint(name: str, *, to: str = SAGEMAKER) -> Endpoint:
    """The endpoint of that name. Raises NotFound."""
    target = target_of(to, load_settings())
    target.status(name)
    return Endpoint(name, target)
