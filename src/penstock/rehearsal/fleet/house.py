"""The models of one multi-model container: fetched when first asked for, loaded, unloaded when room is needed.

The container's side (facts 1.5): POST /models {model_name, url} answers 200, 409 (loaded already) or 507 (no memory:
the least recently used model that nobody is asking is unloaded, and it is tried again); DELETE /models/{name};
POST /models/{name}/invoke. The name is a hash, so that nothing of the archive's own name reaches the container's paths.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from penstock.ground.files import remove_tree
from penstock.rehearsal.metrics import Values
from penstock.rehearsal.traffic.upstream import Upstream, UpstreamFailed

LOAD_SECONDS = 360.0
_LOADED, _ALREADY, _NO_MEMORY = 200, 409, 507


class ModelRefused(Exception):
    """The container would not load the model; what it answered."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class Resident(msgspec.Struct, kw_only=True):
    """A loaded model: who is asking it now."""

    name: str
    asking: int = 0


class ModelHouse:
    """Loads and unloads one container's models.

    ``fetch(target, folder)`` brings an archive's content into a folder; ``folder`` is where models lie here, ``seen``
    where the container sees them; ``keep`` False unloads each after it was asked (ModelCacheSetting Disabled).
    """

    def __init__(
        self, upstream: Upstream, *, fetch: Callable[[str, Path], None], folder: Path, seen: str, keep: bool = True
    ) -> None:
        self._upstream = upstream
        self._fetch = fetch
        self._folder = folder
        self._seen = seen
        self._keep = keep
        self._models: OrderedDict[str, Resident] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Values]] = {}
        self._room = asyncio.Lock()

    def has(self, target: str) -> bool:
        return target in self._models

    def __len__(self) -> int:
        return len(self._models)

    async def enter(self, target: str, *, timeout_s: float) -> tuple[str, Values]:
        """The path that asks the model, and what getting it ready took, as CloudWatch counts it; call ``leave`` after.

        Raises TimeoutError while the load goes on beside, ModelRefused, UpstreamFailed, and what ``fetch`` raises.
        """
        started = time.perf_counter()
        values: Values = {"ModelCacheHit": (float(self.has(target)), "None")}
        while not self.has(target):
            values |= await asyncio.wait_for(asyncio.shield(self._load(target)), timeout_s)
            values["ModelLoadingWaitTime"] = (_us(started), "Microseconds")
        resident = self._models[target]
        resident.asking += 1
        self._models.move_to_end(target)
        return f"/models/{resident.name}/invoke", values

    async def leave(self, target: str) -> Values:
        """Says that an answer is complete."""
        resident = self._models.get(target)
        if resident is None:
            return {}
        resident.asking -= 1
        return await self._unload(target) if not self._keep and not resident.asking else {}

    async def make_room(self) -> None:
        """Unloads the least recently used model that nobody is asking, if there is one: memory is getting short."""
        victim = self._victim()
        if victim is not None:
            await self._unload(victim)

    async def close(self) -> None:
        """Ends the loads under way."""
        tasks = list(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _load(self, target: str) -> asyncio.Task[Values]:
        """The one load of that model that is under way, begun if there is none."""
        task = self._loading.get(target)
        if task is None:
            task = self._loading[target] = asyncio.get_running_loop().create_task(self._bring(target))
            task.add_done_callback(lambda done: self._loaded(target, done))
        return task

    def _loaded(self, target: str, task: asyncio.Task[Values]) -> None:
        self._loading.pop(target, None)
        with suppress(asyncio.CancelledError):
            task.exception()  # whoever waited has it; nobody may have waited

    async def _bring(self, target: str) -> Values:
        name = sha256(target.encode()).hexdigest()[:40]
        started = time.perf_counter()
        try:
            await asyncio.to_thread(self._fetch, target, self._folder / name / "model")
            fetched = time.perf_counter()
            values = await self._make_room_and_load(name)
        except BaseException:
            remove_tree(self._folder / name)
            raise
        self._models[target] = Resident(name=name)
        return {
            **values,
            "ModelDownloadingTime": ((fetched - started) * 1e6, "Microseconds"),
            "ModelLoadingTime": (_us(fetched), "Microseconds"),
        }

    async def _make_room_and_load(self, name: str) -> Values:
        """Loads; on 507 unloads another model and tries again. What the last unloading took, if there was one."""
        document = msgspec.json.encode({"model_name": name, "url": f"{self._seen}/{name}/model"})
        headers = [("content-type", "application/json")]
        values: Values = {}
        async with self._room:
            while True:
                answer = await self._upstream.call("POST", "/models", headers, document, timeout_s=LOAD_SECONDS)
                if answer.status in (_LOADED, _ALREADY):
                    return values
                victim = self._victim()
                if answer.status != _NO_MEMORY or victim is None:
                    raise ModelRefused(answer.status, answer.body.decode("utf-8", "replace"))
                values = await self._unload(victim)

    def _victim(self) -> str | None:
        return next((target for target, each in self._models.items() if not each.asking), None)

    async def _unload(self, target: str) -> Values:
        started = time.perf_counter()
        resident = self._models.pop(target)
        with suppress(UpstreamFailed, TimeoutError):
            await self._upstream.call("DELETE", f"/models/{resident.name}", [], timeout_s=LOAD_SECONDS)
        await asyncio.to_thread(remove_tree, self._folder / resident.name)
        return {"ModelUnloadingTime": (_us(started), "Microseconds")}


def _us(since: float) -> float:
    return (time.perf_counter() - since) * 1e6
