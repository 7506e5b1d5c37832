"""Instances of a variant: everything between a plan and a container that answers its first ping."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from penstock.ground.clock import Clock
from penstock.ground.errors import NotFound, PenstockError
from penstock.ground.files import ensure_directory, remove_tree
from penstock.oci.reference import Reference
from penstock.oci.storage import RegistryStorage
from penstock.rehearsal.fleet.house import ModelHouse
from penstock.rehearsal.fleet.instance import Instance, Part
from penstock.rehearsal.fleet.model_data import ModelData
from penstock.rehearsal.fleet.plan import ContainerPlan, VariantPlan
from penstock.rehearsal.fleet.ports import Ports
from penstock.rehearsal.fleet.waiting import through, until
from penstock.rehearsal.hosting.endpoint import DeployedImage
from penstock.rehearsal.logs import Logs, last_line
from penstock.rehearsal.runner.container import STOP_SECONDS, Container, prepare, spawn
from penstock.rehearsal.runner.images import LayerShelf, PulledImage
from penstock.rehearsal.runner.namespaces import Namespaces
from penstock.rehearsal.runner.network import require_root
from penstock.rehearsal.runner.spec import BIND_LABEL, MODELS_DIRECTORY, ContainerSpec, Level
from penstock.rehearsal.s3 import Buckets
from penstock.rehearsal.traffic.upstream import Upstream

_PING_EVERY_S = 0.05
_DEFAULT_PORT = 8080


class LaunchFailed(Exception):
    """The variant cannot run; the message is the endpoint's FailureReason."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What all instances share of one container: the image unpacked, the model extracted."""

    image: PulledImage
    deployed: DeployedImage
    model: Path | None


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """What all instances of one variant share, container by container."""

    parts: tuple[Prepared, ...]


class Launcher:
    """Prepares variants and starts their instances; everything it makes lies under ``home``."""

    def __init__(
        self, *, home: Path, shelf: LayerShelf, storage: RegistryStorage, buckets: Buckets, logs: Logs, clock: Clock,
        level: Callable[[], Level], region_credentials: Callable[[str], dict[str, str]],
    ) -> None:  # fmt: skip
        self._home = home
        self._shelf = shelf
        self._storage = storage
        self._data = ModelData(buckets)
        self._logs = logs
        self._clock = clock
        self._level = level
        self._ports = Ports()
        self._region_credentials = region_credentials

    async def prepare(self, plan: VariantPlan) -> Launched:
        """Pulls and unpacks the variant's image and extracts its model. Raises LaunchFailed."""
        work = asyncio.ensure_future(asyncio.to_thread(self._prepare, plan))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await through(work)
            if work.exception() is None:
                await asyncio.to_thread(self.forget, work.result())
            raise

    async def start(self, plan: VariantPlan, launched: Launched, *, region: str, group: str, stream: str) -> Instance:
        """Starts an instance and waits until it is healthy. Raises LaunchFailed; then nothing of it is left.

        Its log goes to ``group``, in a stream called ``stream`` and the instance's id.
        """
        instance_id = f"i-{secrets.token_hex(8)}"
        parts: list[Part] = []
        try:
            for number, prepared in enumerate(launched.parts):
                spec = self._spec(plan, prepared, f"{instance_id}-{number}" if number else instance_id, region, number)
                part = await self._start_part(plan, spec, plan.hostname_of(number))
                parts.append(part)
                name = f"{stream}{instance_id}/{part.hostname}" if plan.others else stream + instance_id
                self._logs.follow(part.container.log, region=region, group=group, name=name)
            instance = Instance(instance_id, parts, direct=plan.direct, house=self._house(plan, parts[0]))
            await self._until_healthy(instance, plan)
        except PenstockError as error:
            await self._end(parts)
            raise LaunchFailed(str(error)) from error
        except BaseException:
            await self._end(parts)
            raise
        return instance

    async def stop(self, instance: Instance) -> None:
        """SIGTERM, SIGKILL after 30 s; then its home is removed."""
        instance.close()
        if instance.house is not None:
            await instance.house.close()
        for part in instance.parts:
            part.container.terminate()
        ended = [part.container for part in instance.parts]
        await until(lambda: all(each.exit_code is not None for each in ended), seconds=STOP_SECONDS)
        await self._end(instance.parts)

    def forget(self, launched: Launched) -> None:
        """Removes what the variant's instances shared."""
        for part in launched.parts:
            if part.model is not None:
                remove_tree(part.model)

    async def _start_part(self, plan: VariantPlan, spec: ContainerSpec, hostname: str) -> Part:
        """One container, started but not yet healthy. Raises PenstockError; then nothing of it is left."""
        work: asyncio.Future[Path] | None = None
        try:
            level = await asyncio.to_thread(self._level_for, plan)
            work = asyncio.ensure_future(asyncio.to_thread(prepare, spec, level))
            document = await asyncio.shield(work)
            container = spawn(spec, level, document)
        except BaseException:
            if work is not None:
                await through(work)
            self._ports.give_back(spec.port)
            await asyncio.to_thread(remove_tree, spec.home)
            raise
        inside = container.process.pid if spec.isolate_network else None
        return Part(hostname, container, Upstream(spec.port, inside=inside))

    def _house(self, plan: VariantPlan, part: Part) -> ModelHouse | None:
        spec = part.container.spec
        if not plan.container.multi_model or spec.models is None:
            return None
        prefix = plan.container.model_uri or ""
        return ModelHouse(
            part.upstream, folder=spec.models, keep=plan.container.cache_models,
            fetch=lambda target, folder: self._data.fetch_target(prefix, target, folder),
            seen=str(spec.models) if part.container.level.sees_host else MODELS_DIRECTORY,
        )  # fmt: skip

    async def _until_healthy(self, instance: Instance, plan: VariantPlan) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + plan.startup_s
        while loop.time() < deadline:
            for number, part in enumerate(instance.parts):
                code = part.container.exit_code
                if code is not None:
                    raise LaunchFailed(_ended(_who(plan, number), plan.name, code, last_line(part.container.log)))
            if await instance.ping():
                return
            await asyncio.sleep(_PING_EVERY_S)
        raise LaunchFailed(_unhealthy(_who(plan, 0), plan.name, last_line(instance.parts[0].container.log)))

    async def _end(self, parts: Iterable[Part]) -> None:
        """Ends what still runs of these containers and removes their homes."""
        await asyncio.gather(*(asyncio.to_thread(self._remove, part.container) for part in parts))

    def _remove(self, container: Container) -> None:
        container.kill()
        self._logs.leave(container.log)
        container.remove()
        self._ports.give_back(container.spec.port)

    def _level_for(self, plan: VariantPlan) -> Level:
        """The plane's level; for an isolated variant the one that can keep a network namespace and still reach it."""
        if not plan.isolate_network:
            return self._level()
        require_root()
        return Namespaces()

    def _prepare(self, plan: VariantPlan) -> Launched:
        parts: list[Prepared] = []
        try:
            parts.extend(self._prepare_part(plan.name, container) for container in plan.containers)
        except BaseException:
            self.forget(Launched(parts=tuple(parts)))
            raise
        return Launched(parts=tuple(parts))

    def _prepare_part(self, variant: str, container: ContainerPlan) -> Prepared:
        try:
            reference = Reference.parse(container.image)
            image = self._pull(reference)
        except PenstockError as error:
            raise LaunchFailed(
                f"The image for variant {variant} could not be pulled; make sure all images referenced by the model "
                f"exist and that its role has BatchGetImage permission for the image {container.image}. {error}"
            ) from error
        resolved = f"{reference.registry}/{reference.repository}@{image.digest}"
        deployed = DeployedImage(specified=container.image, resolved=resolved, resolved_ms=self._clock.now_ms())
        return Prepared(image=image, deployed=deployed, model=self._extract(container))

    def _pull(self, reference: Reference) -> PulledImage:
        stored = self._storage.find_manifest(reference.repository, reference.version)
        if stored is None:
            raise NotFound(f"{reference} is not in the registry.", fix="Push it.")
        return self._shelf.pull(self._storage, reference.repository, stored.digest)

    def _extract(self, container: ContainerPlan) -> Path | None:
        """The model's folder as a container is to see it, or None when the model has no data of its own."""
        if container.model_uri is None or container.multi_model:
            return None
        folder = self._home / f"model-{secrets.token_hex(6)}"
        try:
            self._data.extract(container, folder)
        except PenstockError as error:
            raise LaunchFailed(
                f'Failed to extract model data archive from URL "{container.model_uri}". {error}'
            ) from error
        return folder

    def _spec(self, plan: VariantPlan, prepared: Prepared, name: str, region: str, number: int) -> ContainerSpec:
        container = plan.containers[number]
        runtime = prepared.image.config.runtime
        labels = runtime.labels or {}
        movable = labels.get(BIND_LABEL) == "true"
        try:
            port = self._ports.take(None if movable else _DEFAULT_PORT)
        except PenstockError as error:
            raise LaunchFailed(str(error)) from error
        environment = dict(item.partition("=")[::2] for item in runtime.env or ())
        environment.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        environment.setdefault("HOME", "/root")
        environment.update(self._region_credentials(region))
        environment.update(container.environment)
        models = ensure_directory(self._home / name / "models") if container.multi_model else None
        if models is not None:
            environment["SAGEMAKER_MULTI_MODEL"] = "true"
        if movable:
            environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
            environment["SAGEMAKER_SAFE_PORT_RANGE"] = f"{port}-{port}"
        return ContainerSpec(
            name=f"penstock-{name}",
            home=self._home / name,
            layers=prepared.image.layers,
            argv=(*(runtime.entrypoint or ()), "serve"),
            environment=environment,
            directory=runtime.working_dir or "/",
            user=runtime.user,
            model=prepared.model,
            models=models,
            port=port,
            isolate_network=plan.isolate_network,
            memory_bytes=plan.memory_bytes,
        )


def _who(plan: VariantPlan, number: int) -> str:
    """What AWS's messages call a container."""
    return f"container {plan.hostname_of(number)}" if plan.others else "primary container"


def _ended(who: str, variant: str, code: int, line: str) -> str:
    if code in (125, 126, 127):
        return (
            f"CannotStartContainerError. Please ensure the model container for variant {variant} starts correctly when "
            f"invoked with 'docker run <image> serve'. It ended with code {code}: {line}"
        )
    return f"{_unhealthy(who, variant, line)} (The container ended with code {code}.)"


def _unhealthy(who: str, variant: str, line: str) -> str:
    reason = (
        f"The {who} for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    return f"{reason} Its last log line: {line}" if line else reason
