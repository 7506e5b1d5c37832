"""A multi-model container's models: fetched once, the least used unloaded when there is no room, none while in use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from penstock.rehearsal.fleet.house import ModelHouse, ModelRefused
from penstock.rehearsal.traffic.upstream import Answer, Headers, Upstream

Scenario = Callable[["Container", ModelHouse, Path], Coroutine[Any, Any, None]]


class Container(Upstream):
    """A container with room for so many models, which loads when told to."""

    def __init__(self, slots: int) -> None:
        super().__init__(1)
        self.slots = slots
        self.loaded: list[str] = []
        self.may_load = asyncio.Event()
        self.may_load.set()

    async def call(self, method: str, path: str, headers: Headers, body: bytes = b"", *, timeout_s: float) -> Answer:
        answer = Answer()
        if method == "DELETE":
            self.loaded.remove(path.rsplit("/", 1)[-1])
            answer.status = 200
            return answer
        await self.may_load.wait()
        name = json.loads(body)["model_name"]
        answer.status = 507 if len(self.loaded) >= self.slots else 200
        answer.body = b"full"
        if answer.status == 200:
            self.loaded.append(name)
        return answer


def play(scenario: Scenario, folder: Path, *, slots: int = 2, keep: bool = True) -> list[str]:
    """Runs a scenario; the targets in the order in which they were fetched."""
    fetched: list[str] = []

    def fetch(target: str, into: Path) -> None:
        fetched.append(target)
        into.mkdir(parents=True)

    async def run() -> None:
        container = Container(slots)
        house = ModelHouse(container, fetch=fetch, folder=folder, seen="/opt/ml/models", keep=keep)
        await scenario(container, house, folder)
        await house.close()

    asyncio.run(run())
    return fetched


def lying(folder: Path) -> int:
    """How many models have a folder."""
    return len(list(folder.iterdir()))


async def visit(house: ModelHouse, target: str) -> dict[str, float]:
    _, values = await house.enter(target, timeout_s=5)
    values |= await house.leave(target)
    return {name: value for name, (value, _) in values.items()}


def test_a_model_is_fetched_once_and_found_again(tmp_path: Path) -> None:
    async def scenario(container: Container, house: ModelHouse, folder: Path) -> None:
        first, *_ = await asyncio.gather(*(visit(house, "a") for _ in range(3)))
        assert (first["ModelCacheHit"], (await visit(house, "a"))["ModelCacheHit"]) == (0.0, 1.0)
        assert {"ModelDownloadingTime", "ModelLoadingTime", "ModelLoadingWaitTime"} <= set(first)
        assert len(container.loaded) == len(house) == lying(folder) == 1

    assert play(scenario, tmp_path) == ["a"]


def test_without_room_the_least_used_goes_and_is_fetched_again(tmp_path: Path) -> None:
    async def scenario(container: Container, house: ModelHouse, folder: Path) -> None:
        for target in ("a", "b", "a"):
            await visit(house, target)
        assert "ModelUnloadingTime" in await visit(house, "c")
        assert (house.has("a"), house.has("b"), house.has("c")) == (True, False, True)
        assert len(container.loaded) == lying(folder) == 2
        await visit(house, "b")

    assert play(scenario, tmp_path) == ["a", "b", "c", "b"]


def test_a_model_in_use_is_not_unloaded_for_another(tmp_path: Path) -> None:
    async def scenario(_: Container, house: ModelHouse, folder: Path) -> None:
        await house.enter("a", timeout_s=5)
        with pytest.raises(ModelRefused) as refused:
            await visit(house, "b")
        assert (refused.value.status, refused.value.said) == (507, "full")
        assert lying(folder) == 1
        await house.leave("a")
        await visit(house, "b")

    play(scenario, tmp_path, slots=1)


def test_a_slow_load_goes_on_after_its_caller_gave_up(tmp_path: Path) -> None:
    async def scenario(container: Container, house: ModelHouse, _: Path) -> None:
        container.may_load.clear()
        with pytest.raises(TimeoutError):
            await house.enter("a", timeout_s=0.01)
        container.may_load.set()
        await visit(house, "a")

    assert play(scenario, tmp_path) == ["a"]


def test_without_caching_a_model_leaves_with_its_last_caller(tmp_path: Path) -> None:
    async def scenario(container: Container, house: ModelHouse, folder: Path) -> None:
        await house.enter("a", timeout_s=5)
        await visit(house, "a")
        assert container.loaded
        await house.leave("a")
        assert not container.loaded
        assert lying(folder) == 0

    play(scenario, tmp_path, keep=False)


def test_when_memory_is_short_the_least_used_leaves(tmp_path: Path) -> None:
    async def scenario(container: Container, house: ModelHouse, folder: Path) -> None:
        for target in ("a", "b", "a"):
            await visit(house, target)
        await house.make_room()
        assert (house.has("a"), house.has("b"), lying(folder), len(container.loaded)) == (True, False, 1, 1)
        await house.enter("a", timeout_s=5)
        await house.make_room()
        assert house.has("a")

    play(scenario, tmp_path)
