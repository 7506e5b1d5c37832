"""Instances of a variant: everything between a plan and a container that answers its first ping."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from penstock.ground.clock import Clock
from penstock.ground.errors import NotFound, PenstockError
from penstock.ground.files import remove_tree
from penstock.oci.reference import Reference
from penstock.oci.storage import RegistryStorage
from penstock.rehearsal.fleet.plan import ContainerPlan, VariantPlan
from penstock.rehearsal.fleet.ports import Ports
from penstock.rehearsal.fleet.waiting import until
from penstock.rehearsal.hosting.endpoint import DeployedImage
from penstock.rehearsal.logs import Logs, last_line
from penstock.rehearsal.runner.archive import extract_archive
from penstock.rehearsal.runner.container import STOP_SECONDS, Container, prepare, spawn
from penstock.rehearsal.runner.images import LayerShelf, PulledImage
from penstock.rehearsal.runner.namespaces import Namespaces
from penstock.rehearsal.runner.network import require_root
from penstock.rehearsal.runner.spec import BIND_LABEL, ContainerSpec, Level
from penstock.rehearsal.s3 import Buckets, split_uri
from penstock.rehearsal.traffic.upstream import Upstream, UpstreamFailed

PING_TIMEOUT_S = 2.0
_PING_EVERY_S = 0.05
_DEFAULT_PORT = 8080


class LaunchFailed(Exception):
    """The variant cannot run; the message is the endpoint's FailureReason."""


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """What all instances of one variant share: the image unpacked, the model extracted."""

    image: PulledImage
    deployed: DeployedImage
    model: Path | None


class Instance:
    """One running container of a variant and the way to it."""

    def __init__(self, instance_id: str, container: Container, upstream: Upstream) -> None:
        self.id = instance_id
        self.container = container
        self.upstream = upstream
        self.outstanding = 0
        self.failed_pings = 0

    async def ping(self) -> bool:
        """Whether it answers GET /ping with 200 within two seconds."""
        try:
            answer = await self.upstream.call("GET", "/ping", [], timeout_s=PING_TIMEOUT_S)
        except (UpstreamFailed, TimeoutError):
            return False
        return answer.status == 200


class Launcher:
    """Prepares variants and starts their instances; everything it makes lies under ``home``."""

    def __init__(
        self, *, home: Path, shelf: LayerShelf, storage: RegistryStorage, buckets: Buckets, logs: Logs, clock: Clock,
        level: Callable[[], Level], region_credentials: Callable[[str], dict[str, str]],
    ) -> None:  # fmt: skip
        self._home = home
        self._shelf = shelf
        self._storage = storage
        self._buckets = buckets
        self._logs = logs
        self._clock = clock
        self._level = level
        self._ports = Ports()
        self._region_credentials = region_credentials

    async def prepare(self, plan: VariantPlan) -> Launched:
        """Pulls and unpacks the variant's image and extracts its model. Raises LaunchFailed."""
        return await asyncio.to_thread(self._prepare, plan)

    async def start(self, plan: VariantPlan, launched: Launched, *, region: str, group: str, stream: str) -> Instance:
        """Starts an instance and waits until it is healthy. Raises LaunchFailed; then nothing of it is left.

        Its log goes to ``group``, in a stream called ``stream`` and the instance's id.
        """
        instance_id = f"i-{secrets.token_hex(8)}"
        spec = self._spec(plan, launched, instance_id, region)
        instance: Instance | None = None
        try:
            level = await asyncio.to_thread(self._level_for, plan)
            document = await asyncio.to_thread(prepare, spec, level)
            container = spawn(spec, level, document)
            self._logs.follow(container.log, region=region, group=group, name=stream + instance_id)
            inside = container.process.pid if spec.isolate_network else None
            instance = Instance(instance_id, container, Upstream(spec.port, inside=inside))
            await self._until_healthy(instance, plan)
        except PenstockError as error:
            await self._abandon(instance, spec)
            raise LaunchFailed(str(error)) from error
        except BaseException:
            await self._abandon(instance, spec)
            raise
        return instance

    async def stop(self, instance: Instance) -> None:
        """SIGTERM, SIGKILL after 30 s; then its home is removed."""
        instance.upstream.close()
        instance.container.terminate()
        await until(lambda: instance.container.exit_code is not None, seconds=STOP_SECONDS)
        await asyncio.to_thread(self._remove, instance)

    def forget(self, launched: Launched) -> None:
        """Removes what the variant's instances shared."""
        if launched.model is not None:
            remove_tree(launched.model)

    async def _until_healthy(self, instance: Instance, plan: VariantPlan) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + plan.startup_s
        while loop.time() < deadline:
            code = instance.container.exit_code
            if code is not None:
                raise LaunchFailed(_ended(plan.name, code, last_line(instance.container.log)))
            if await instance.ping():
                return
            await asyncio.sleep(_PING_EVERY_S)
        raise LaunchFailed(_unhealthy(plan.name, last_line(instance.container.log)))

    async def _abandon(self, instance: Instance | None, spec: ContainerSpec) -> None:
        if instance is None:
            self._ports.give_back(spec.port)
            await asyncio.to_thread(remove_tree, spec.home)
        else:
            instance.container.kill()
            await asyncio.to_thread(self._remove, instance)

    def _remove(self, instance: Instance) -> None:
        instance.container.kill()
        self._logs.leave(instance.container.log)
        instance.container.remove()
        self._ports.give_back(instance.container.spec.port)

    def _level_for(self, plan: VariantPlan) -> Level:
        """The plane's level; for an isolated variant the one that can keep a network namespace and still reach it."""
        if not plan.isolate_network:
            return self._level()
        require_root()
        return Namespaces()

    def _prepare(self, plan: VariantPlan) -> Launched:
        try:
            reference = Reference.parse(plan.container.image)
            image = self._pull(reference)
        except PenstockError as error:
            raise LaunchFailed(
                f"The image for variant {plan.name} could not be pulled; make sure all images referenced by the model "
                f"exist and that its role has BatchGetImage permission for the image {plan.container.image}. {error}"
            ) from error
        resolved = f"{reference.registry}/{reference.repository}@{image.digest}"
        deployed = DeployedImage(
            specified=plan.container.image, resolved=resolved, resolved_ms=self._clock.now_ms()
        )  # fmt: skip
        return Launched(image=image, deployed=deployed, model=self._extract(plan.container))

    def _pull(self, reference: Reference) -> PulledImage:
        stored = self._storage.find_manifest(reference.repository, reference.version)
        if stored is None:
            raise NotFound(f"{reference} is not in the registry.", fix="Push it.")
        return self._shelf.pull(self._storage, reference.repository, stored.digest)

    def _extract(self, container: ContainerPlan) -> Path | None:
        """The model's folder as a container is to see it, or None when the model has no data of its own."""
        if container.model_uri is None:
            return None
        bucket, key = split_uri(container.model_uri)
        folder = self._home / f"model-{secrets.token_hex(6)}"
        try:
            for name, is_archive in self._model_objects(container, bucket, key):
                content = self._buckets.find(bucket, name)
                if content is None:
                    raise NotFound(f"Could not find model data at {container.model_uri}.")
                if is_archive:
                    extract_archive(content, folder)
                else:
                    _write(folder / name.removeprefix(key).lstrip("/"), content.read())
        except PenstockError as error:
            remove_tree(folder)
            raise LaunchFailed(
                f'Failed to extract model data archive from URL "{container.model_uri}". {error}'
            ) from error
        return folder

    def _model_objects(self, container: ContainerPlan, bucket: str, key: str) -> list[tuple[str, bool]]:
        """The objects that make up the model data, and whether each is an archive to extract."""
        if not container.model_is_prefix:
            return [(key, True)]
        return [(name, False) for name in self._buckets.keys(bucket, key) or () if not name.endswith("/")]

    def _spec(self, plan: VariantPlan, launched: Launched, instance_id: str, region: str) -> ContainerSpec:
        runtime = launched.image.config.runtime
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
        environment.update(plan.container.environment)
        if movable:
            environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
            environment["SAGEMAKER_SAFE_PORT_RANGE"] = f"{port}-{port}"
        return ContainerSpec(
            name=f"penstock-{instance_id}",
            home=self._home / instance_id,
            layers=launched.image.layers,
            argv=(*(runtime.entrypoint or ()), "serve"),
            environment=environment,
            directory=runtime.working_dir or "/",
            user=runtime.user,
            model=launched.model,
            port=port,
            isolate_network=plan.isolate_network,
            memory_bytes=plan.memory_bytes,
        )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _ended(variant: str, code: int, line: str) -> str:
    if code in (125, 126, 127):
        return (
            f"CannotStartContainerError. Please ensure the model container for variant {variant} starts correctly when "
            f"invoked with 'docker run <image> serve'. It ended with code {code}: {line}"
        )
    return f"{_unhealthy(variant, line)} (The container ended with code {code}.)"


def _unhealthy(variant: str, line: str) -> str:
    reason = (
        f"The primary container for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    return f"{reason} Its last log line: {line}" if line else reason
