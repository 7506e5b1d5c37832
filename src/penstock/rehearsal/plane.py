"""The plane: everything wired together, on one port, from ready to the last process ended."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import InvalidInput
from penstock.ground.files import ensure_directory, remove_tree, write_atomically
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from penstock.rehearsal.alarms import CloudWatchAlarms
from penstock.rehearsal.batch.runner import BatchRunner
from penstock.rehearsal.checks import PlaneChecks
from penstock.rehearsal.cloudwatch import speaking_cbor
from penstock.rehearsal.ecr import operations as ecr_operations
from penstock.rehearsal.ecr.repositories import Ecr
from penstock.rehearsal.ecr.tokens import Tokens
from penstock.rehearsal.fleet.components import ComponentDriver
from penstock.rehearsal.fleet.driver import Driver
from penstock.rehearsal.fleet.launcher import Launcher
from penstock.rehearsal.fleet.rollout import Rollouts
from penstock.rehearsal.fleet.watch import Watch
from penstock.rehearsal.gateway import Gateway
from penstock.rehearsal.hosting import operations as hosting_operations
from penstock.rehearsal.hosting.component import components_of
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.iam.simulator import with_simulator
from penstock.rehearsal.journal import Journal
from penstock.rehearsal.logs import Logs
from penstock.rehearsal.metrics import Metrics
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.options import PlaneInfo, PlaneOptions
from penstock.rehearsal.place import place_of, telling_place
from penstock.rehearsal.replay import KEPT, Replay
from penstock.rehearsal.runner.container import started_at, sweep
from penstock.rehearsal.runner.images import LayerShelf
from penstock.rehearsal.runner.levels import choose_level
from penstock.rehearsal.runner.spec import Level
from penstock.rehearsal.s3 import Buckets
from penstock.rehearsal.scaling import operations as scaling_operations
from penstock.rehearsal.scaling.alarms import ScalingAlarms
from penstock.rehearsal.scaling.capacities import Capacities
from penstock.rehearsal.scaling.operations import Scaling, scaled_variants
from penstock.rehearsal.scaling.scaler import Scaler
from penstock.rehearsal.scaling.tracking import Tracker
from penstock.rehearsal.scaling.traffic import PlaneTraffic
from penstock.rehearsal.signing.keys import Keys
from penstock.rehearsal.signing.verifier import Verifier
from penstock.rehearsal.traffic.asynchronous import AsyncInference
from penstock.rehearsal.traffic.capture import DataCapture
from penstock.rehearsal.traffic.invocations import Invocation, Invocations
from penstock.rehearsal.traffic.router import Routers
from penstock.rehearsal.traffic.shadows import Shadows
from penstock.rehearsal.wsgi import WsgiApp
from penstock.serving.http.server import HttpServer
from penstock.serving.http.types import Request, Response

LOG = logging.getLogger("penstock.rehearsal")
INFO = "plane.json"
_THREADS = 16
_SYNC_SECONDS = 1.0


class Plane:
    """One embedded AWS. ``start`` returns once it answers; ``stop`` once all it started has ended."""

    def __init__(self, options: PlaneOptions, *, clock: Clock = SYSTEM_CLOCK) -> None:
        state = ensure_directory(options.state_dir)
        self.options = options
        self._clock = clock
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="plane")
        self._journal = Journal(state / "hosting.db")
        self._storage = RegistryStorage(state / "registry")
        self._neighbours = Neighbours(options.account)
        self._buckets = Buckets(state / "s3", self._neighbours)
        self._replay = Replay(state / "requests")
        self._metrics = Metrics(self._neighbours, clock=clock)
        self._logs = Logs(self._neighbours, clock=clock)
        self._alarms = CloudWatchAlarms(self._neighbours, self._metrics)
        self._routers = Routers()
        self._capture = DataCapture(self._buckets, clock=clock)
        self._shadows = Shadows()
        self._async_inference = AsyncInference(
            journal=self._journal, buckets=self._buckets, neighbours=self._neighbours, metrics=self._metrics,
            routers=self._routers, account=options.account, clock=clock,
        )  # fmt: skip
        self._place = place_of(state)
        self._homes = ensure_directory(state / "containers")
        self._choice = _LevelChoice(options.runner, state / "scratch")
        self._background: list[asyncio.Task[None]] = []
        self._launcher = self._make_launcher()
        self._driver = self._make_driver()
        self._components = ComponentDriver(
            journal=self._journal, launcher=self._launcher, routers=self._routers, clock=clock
        )
        self._watch = Watch([self._driver.watched, self._components.watched], observe=self._metrics.observe)
        self._batch = BatchRunner(
            journal=self._journal, launcher=self._launcher, buckets=self._buckets, clock=clock
        )  # fmt: skip
        self._hosting = self._make_hosting()
        self._capacities = Capacities(self._hosting)
        self._scaler = self._make_scaler()

    async def start(self) -> PlaneInfo:
        """Listens, takes up what the last plane left, and says where it is in ``plane.json``."""
        self._reconcile()
        self._server: HttpServer | None = None
        host, port = await self._listen()
        self._driver.start()
        self._components.start()
        self._watch.start()
        self._async_inference.start()
        self._batch.start()
        self._scaler.start()
        info = PlaneInfo(
            url=f"http://{host}:{port}", pid=os.getpid(), started=started_at(os.getpid()) or "", host=host, port=port,
            account=self.options.account, region=self.options.region, time_scale=self.options.time_scale,
            runner=self.options.runner, check_signatures=self.options.check_signatures,
        )  # fmt: skip
        write_atomically(self.options.state_dir / INFO, msgspec.json.encode(info))
        self._background = [
            asyncio.create_task(asyncio.to_thread(self._warm_up)),
            asyncio.create_task(self._keep_in_step()),
        ]
        return info

    async def stop(self) -> None:
        """Ends every container, finishes what is being answered, and leaves the state for the next start."""
        (self.options.state_dir / INFO).unlink(missing_ok=True)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._server is not None:
            await self._server.drain(2.0)
        await self._scaler.stop()
        await self._async_inference.stop()
        await self._batch.stop()
        await self._watch.stop()
        await self._components.stop()
        await self._driver.stop()
        await asyncio.to_thread(self._capture.flush)
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._journal.close()
        remove_tree(self.options.state_dir / "scratch")

    async def _listen(self) -> tuple[str, int]:
        """Listens where asked; without a wish, where the last plane did, so that what people copied stays true."""
        remembered = self.options.state_dir / "port"
        last = int(remembered.read_text()) if remembered.exists() else 0
        for port in [self.options.port] if self.options.port else [last, 0]:
            server = HttpServer(_Late(self), body_timeout_s=300.0, keep_alive_s=300.0)
            try:
                host, bound = await server.start(self.options.host, port)
            except InvalidInput:
                if port in (0, self.options.port):
                    raise
                continue
            self._server = server
            self._gateway = self._make_gateway(f"{host}:{bound}")
            write_atomically(remembered, str(bound).encode())
            return host, bound
        raise AssertionError("the last port tried is always one of the kernel's choice")

    def _reconcile(self) -> None:
        """Ends what a killed plane left running and removes its containers' homes."""
        for home in sorted(self._homes.iterdir()):
            if sweep(home):
                LOG.warning("ended a container that an earlier plane left: %s", home.name)
            if home.name.startswith("i-"):
                self._choice.forget(f"penstock-{home.name}")
            remove_tree(home)

    def _make_launcher(self) -> Launcher:
        return Launcher(
            home=self._homes, shelf=LayerShelf(self.options.cache_dir / "layers"), storage=self._storage,
            buckets=self._buckets, logs=self._logs, clock=self._clock, level=self._choice.level,
            region_credentials=lambda region: {"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        )  # fmt: skip

    def _make_driver(self) -> Driver:
        rollouts = Rollouts(alarms=self._alarms, time_scale=self.options.time_scale)
        return Driver(
            journal=self._journal, launcher=self._launcher, routers=self._routers, rollouts=rollouts,
            clock=self._clock, time_scale=self.options.time_scale
        )  # fmt: skip

    def _make_hosting(self) -> Hosting:
        checks = PlaneChecks(
            storage=self._storage, buckets=self._buckets, neighbours=self._neighbours,
            ready=lambda service: self._replay.wrap(service, self._neighbours.app(service)),
        )  # fmt: skip
        return Hosting(
            journal=self._journal, checks=checks, wake=self._driver.wake, wake_job=self._batch.wake,
            wake_component=self._components.wake,
            components=lambda region, endpoint: components_of(self._journal, region, endpoint),
            scaled_variants=lambda region, endpoint: scaled_variants(self._journal, region, endpoint),
        )  # fmt: skip

    def _make_scaler(self) -> Scaler:
        alarms = ScalingAlarms(self._neighbours, self._alarms)
        return Scaler(
            journal=self._journal, capacities=self._capacities, alarms=alarms, clock=self._clock,
            tracker=Tracker(PlaneTraffic(self._metrics, self._routers), alarms.custom),
            time_scale=self.options.time_scale,
        )  # fmt: skip

    def _make_gateway(self, host: str) -> Gateway:
        tokens = Tokens(self._secret(), clock=self._clock)
        ecr = Ecr(journal=self._journal, storage=self._storage, host=host, tokens=tokens)
        registry = RegistryApp(
            self._storage,
            authorize=tokens.admits,
            ecr_mode=True,
            repository_exists=lambda name: ecr_operations.may_push(ecr, name),
            tag_immutable=lambda name, _tag: ecr_operations.is_immutable(ecr, name),
        )
        invocations = Invocations(account=self.options.account, metrics=self._metrics, observe=self._observe)
        return Gateway(
            account=self.options.account, region=self.options.region, clock=self._clock, executor=self._executor,
            json_services={
                "sagemaker": hosting_operations.handlers(self._hosting),
                "application-autoscaling": scaling_operations.handlers(
                    Scaling(journal=self._journal, capacities=self._capacities)
                ),
                "ecr": ecr_operations.handlers(ecr),
            },
            wsgi=lambda service: self._app(service, registry),
            before={"monitoring": self._before_metrics, "logs": self._logs.sync},
            routers=self._routers, invocations=invocations, asynchronous=self._async_inference.accept, plane=self._own,
            verifier=self._verifier() if self.options.check_signatures else None,
        )  # fmt: skip

    def _app(self, service: str, registry: WsgiApp) -> WsgiApp:
        if service == "registry":
            return registry
        if service == "s3":
            return self._buckets.app()
        if service == "monitoring":
            return speaking_cbor(self._replay.wrap(service, self._neighbours.app(service)))
        if service == "iam":
            return with_simulator(self._replay.wrap(service, self._neighbours.app(service)), self._neighbours)
        if service == "sts":
            return telling_place(self._replay.wrap(service, self._neighbours.app(service)), self._place)
        return self._replay.wrap(service, self._neighbours.app(service))

    def _verifier(self) -> Verifier:
        return Verifier(Keys(self._neighbours, clock=self._clock), clock=self._clock)

    def _secret(self) -> str:
        """What the registry's tokens are made with, the same over restarts."""
        path = self.options.state_dir / "registry-secret"
        if not path.exists():
            write_atomically(path, secrets.token_urlsafe(24).encode(), mode=0o600)
        return path.read_text(encoding="ascii")

    def _before_metrics(self) -> None:
        self._metrics.flush()
        self._alarms.evaluate(self.options.region)

    def _observe(self, invocation: Invocation) -> None:
        """Everybody who looks at answers; each returns at once."""
        self._capture.observe(invocation)
        self._shadows.observe(invocation)

    def _own(self, request: Request) -> Response:
        if request.path == "/_penstock/health":
            return Response(200, msgspec.json.encode({"pid": os.getpid()}), [("content-type", "application/json")])
        if request.path == "/_penstock/runner":
            return Response(200, msgspec.json.encode(self._choice.report()), [("content-type", "application/json")])
        return Response(404)

    def _warm_up(self) -> None:
        """Loads moto and finds the runner while nobody waits for either."""
        self._neighbours.load()
        self._buckets.restore()
        for service in KEPT:
            self._replay.wrap(service, self._neighbours.app(service))
        self._choice.level()

    async def _keep_in_step(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            if self._neighbours.loaded("logs"):
                await asyncio.to_thread(self._logs.sync)
            await asyncio.to_thread(self._capture.flush)


class _Late:
    """Stands in for the gateway until the port, which the gateway must know, is known."""

    def __init__(self, plane: Plane) -> None:
        self.limits = lambda head: plane._gateway.limits(head)
        self._plane = plane

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        return self._plane._gateway(request)


class _LevelChoice:
    """The isolation level, found by a probe when it is first needed."""

    def __init__(self, wanted: str, scratch: Path) -> None:
        self._wanted = wanted
        self._scratch = scratch
        self._lock = threading.Lock()
        self._level: Level | None = None
        self._refused: dict[str, str] = {}

    def level(self) -> Level:
        with self._lock:
            if self._level is None:
                self._level, self._refused = choose_level(self._wanted, scratch=self._scratch)
                LOG.info("containers run at the level %s", self._level.name)
            return self._level

    def forget(self, name: str) -> None:
        """Removes what a container of that name may have left with an engine."""
        with suppress(OSError):
            self.level().forget(name)

    def report(self) -> dict[str, object]:
        level = self.level()
        return {"runner": level.name, "description": level.description, "refused": self._refused}
