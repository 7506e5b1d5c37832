"""What a quickstart has to say in the end."""

from __future__ import annotations

from msgspec import Struct


class TrackedRun(Struct, frozen=True, kw_only=True):
    """The run in the tracking store, and the model it logged and registered."""

    experiment: str
    run_id: str
    tracking_uri: str
    model_uri: str
    registered_as: str
    accuracy: float


class ShownImage(Struct, frozen=True, kw_only=True):
    """The image that was built and pushed; ``reference`` is where the endpoint pulls it from, by digest."""

    reference: str
    digest: str
    layers: int
    wheels: int
    size_bytes: int
    base: str


class ShownEndpoint(Struct, frozen=True, kw_only=True):
    """The endpoint as it served: ``runner`` is the isolation level that really ran."""

    name: str
    status: str
    plane_url: str
    runner: str
    request: str
    response: list[float]
    invocations: int
    latency_ms: float | None


class Check(Struct, frozen=True, kw_only=True):
    """One place that was looked at after the delete, and how many things were still there."""

    what: str
    left: int


class QuickstartReport(Struct, frozen=True, kw_only=True):
    """The whole story. ``checks`` is empty, and ``commands`` is not, when the endpoint was kept."""

    run: TrackedRun
    image: ShownImage
    endpoint: ShownEndpoint
    seconds: float
    checks: tuple[Check, ...] = ()
    commands: dict[str, str] = {}

    @property
    def nothing_left(self) -> bool:
        return bool(self.checks) and all(check.left == 0 for check in self.checks)
