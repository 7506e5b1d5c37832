"""The quickstart as one call: it cleans up after itself however it ends, and after one that was killed."""

from __future__ import annotations

import os
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from penstock.api import deployments
from penstock.api.quickstart import handover, story
from penstock.api.quickstart.iris import TrainedIris
from penstock.api.quickstart.processes import family
from penstock.api.quickstart.proof import cloud_checks, process_check
from penstock.api.quickstart.report import Check, QuickstartReport, ShownEndpoint
from penstock.ground.errors import EndpointFailed, InvalidInput
from penstock.ground.files import ensure_directory, locked, remove_tree
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.rehearsal.options import PlaneInfo
from penstock.rehearsal.process import plane_environment, start_plane, stop_plane

Say = Callable[[str], None]


class Stage(Struct, frozen=True):
    """Where the story plays: a plane of its own, the settings and environment that lead there, and a boto3 session."""

    home: Path
    plane: PlaneInfo
    settings: Settings
    environment: dict[str, str]
    session: Any


def quickstart(
    *,
    keep: bool = False,
    port: int = 0,
    settings: Settings | None = None,
    progress: Progress = SILENT,
    say: Say = print,
) -> QuickstartReport:
    """The whole story, told to ``progress`` and ``say``; with ``keep`` the endpoint stays up.

    Raises Conflict when another quickstart is under way, and whatever a chapter raises; by then all is removed.
    """
    started = time.monotonic()
    known = settings or load_settings()
    home = story.quickstart_dir(known)
    _check_port(port)
    with _alone(home):
        clean(settings=known, progress=progress)
        trained = story.train(progress)
        run = story.track(trained, progress)
        built = story.build(run.model_uri, story.lock(run.model_uri, known, progress), known, progress)
        with _stage(home, known, keep=keep, port=port, progress=progress) as stage:
            deployment = story.deploy(run.model_uri, built, stage.settings, progress)
            endpoint = _used(stage, trained, progress, say)
            commands = _commands(stage, endpoint) if keep else {}
            checks = () if keep else _removed(stage, progress)
    return QuickstartReport(
        run=run,
        image=story.shown_image(built, deployment),
        endpoint=endpoint,
        seconds=time.monotonic() - started,
        checks=checks,
        commands=commands,
    )


def _used(stage: Stage, trained: TrainedIris, progress: Progress, say: Say) -> ShownEndpoint:
    """The endpoint, waited for, asked and watched."""
    status = story.wait(stage.session, progress)
    say(f"Application status is: {status}")
    asked = story.question(trained)
    response = story.ask(asked, stage.session, progress)
    say(f"Received response: {response}")
    figures = story.watch(1, stage.settings, progress)
    return ShownEndpoint(
        name=story.ENDPOINT,
        status=status,
        plane_url=stage.plane.url,
        runner=_runner(stage.plane),
        request=asked.text,
        response=response,
        invocations=figures.invocations,
        latency_ms=figures.variants[0].model_latency_avg_ms,
    )


def _commands(stage: Stage, endpoint: ShownEndpoint) -> dict[str, str]:
    return handover.commands(
        endpoint=endpoint.name, url=endpoint.plane_url, request=endpoint.request, environment=stage.environment
    )


def clean(*, settings: Settings | None = None, progress: Progress = SILENT) -> bool:
    """Removes what an earlier quickstart left: one that was kept, or one that was killed. False: there was nothing."""
    home = story.quickstart_dir(settings or load_settings())
    if not home.exists():
        return False
    with progress.phase("Remove what an earlier quickstart left"):
        stop_plane(home)
        remove_tree(home)
    return True


def _check_port(port: int) -> None:
    """Says that a port is taken before the work begins rather than in the midst of it. Raises InvalidInput."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise InvalidInput(
            f"Port {port} of this machine cannot be listened on: {error.strerror}.",
            fix="Free it, or leave --port out and a free one is taken.",
        ) from error


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Holds the quickstart's lock. Raises Conflict when somebody else does."""
    ensure_directory(home.parent)
    with locked(home.with_name("quickstart.lock"), wait=False):
        yield


@contextmanager
def _stage(home: Path, settings: Settings, *, keep: bool, port: int, progress: Progress) -> Iterator[Stage]:
    """A plane while the block runs; it outlives the block only with ``keep`` and when all went well."""
    before = dict(os.environ)
    try:
        with progress.phase("Start the plane, an embedded AWS") as phase:
            plane = start_plane(home, port=port, cache_dir=settings.cache_dir, runner=settings.runner, detached=keep)
            phase.detail(plane.url)
        environment = plane_environment(plane)
        os.environ.pop("AWS_PROFILE", None)
        os.environ.update(environment, **_past_proxies(before))
        # What the user's own settings say of AWS must not count here: not a profile, nor another endpoint.
        here = msgspec.structs.replace(settings, region=plane.region, profile=None, endpoint_url=plane.url)
        yield Stage(home, plane, here, environment, story.boto_session(environment))
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            with progress.phase("Stop the plane"):
                stop_plane(home)
                remove_tree(home)
        os.environ.clear()
        os.environ.update(before)


def _past_proxies(environment: dict[str, str]) -> dict[str, str]:
    """What keeps a configured proxy out of the talk with this machine."""
    others = environment.get("no_proxy") or environment.get("NO_PROXY")
    value = f"{others},127.0.0.1" if others else "127.0.0.1"
    return {"no_proxy": value, "NO_PROXY": value}


def _removed(stage: Stage, progress: Progress) -> tuple[Check, ...]:
    """The proof that all is gone. Raises EndpointFailed when something is left."""
    processes = family(stage.plane.pid, mentioning=stage.home)
    with progress.phase("Delete everything") as phase:
        report = deployments.delete(story.ENDPOINT, settings=stage.settings)
        phase.detail(f"{len(report.removed)} resources removed")
    with progress.phase("Prove that nothing is left") as phase:
        checks = cloud_checks(stage.session)
        stop_plane(stage.home)
        checks = (*checks, process_check(processes))
        phase.detail(f"{len(checks)} places looked at again")
    found = [str(one) for one in report.leftovers] + [f"{check.left} {check.what}" for check in checks if check.left]
    if found or report.unchecked:
        raise EndpointFailed(
            f"Left over: {', '.join(found) or 'nothing that was seen'}."
            + (f" Could not look at: {', '.join(report.unchecked)}." if report.unchecked else ""),
            fix="Run `penstock quickstart --clean`.",
        )
    return checks


def _runner(plane: PlaneInfo) -> str:
    """The isolation level that the plane found working and used, as it says itself."""
    with urllib.request.urlopen(f"{plane.url}/_penstock/runner", timeout=30) as answer:
        return str(msgspec.json.decode(answer.read())["description"])
