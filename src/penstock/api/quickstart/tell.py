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
    """Where the story plays: a plane of its own, its environment and an ordinary boto3 session."""

    home: Path
    plane: PlaneInfo
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
            deployment = story.deploy(run.model_uri, built, known, progress)
            status = story.wait(stage.session, progress)
            say(f"Application status is: {status}")
            asked = story.question(trained)
            response = story.ask(asked, stage.session, progress)
            say(f"Received response: {response}")
            figures = story.watch(1, known, progress)
            endpoint = ShownEndpoint(
                name=story.ENDPOINT,
                status=status,
                plane_url=stage.plane.url,
                runner=_runner(stage.plane),
                request=asked.text,
                response=response,
                invocations=figures.invocations,
                latency_ms=figures.variants[0].model_latency_avg_ms,
            )
            commands = handover.commands(
                endpoint=story.ENDPOINT, url=stage.plane.url, request=asked.text, environment=stage.environment
            )
            checks = () if keep else _removed(stage, known, progress)
    return QuickstartReport(
        run=run,
        image=story.shown_image(built, deployment),
        endpoint=endpoint,
        seconds=time.monotonic() - started,
        checks=checks,
        commands=commands if keep else {},
    )


def clean(*, settings: Settings | None = None, progress: Progress = SILENT) -> bool:
    """Removes what an earlier quickstart left: one that was kept, or one that was killed. False: there was nothing."""
    home = story.quickstart_dir(settings or load_settings())
    if not (home / "registry").exists():
        return False
    with progress.phase("Remove what an earlier quickstart left"):
        stop_plane(home)
        _forget(home)
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
        os.environ.update(environment)
        yield Stage(home, plane, environment, story.boto_session(environment))
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            with progress.phase("Stop the plane"):
                stop_plane(home)
                _forget(home)
        os.environ.clear()
        os.environ.update(before)


def _removed(stage: Stage, settings: Settings, progress: Progress) -> tuple[Check, ...]:
    """The proof that all is gone. Raises EndpointFailed when something is left."""
    processes = family(stage.plane.pid, mentioning=stage.home)
    with progress.phase("Delete everything") as phase:
        report = deployments.delete(story.ENDPOINT, settings=settings, progress=SILENT)
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


def _forget(home: Path) -> None:
    remove_tree(home)


def _runner(plane: PlaneInfo) -> str:
    """The isolation level that the plane found working and used, as it says itself."""
    with urllib.request.urlopen(f"{plane.url}/_penstock/runner", timeout=30) as answer:
        return str(msgspec.json.decode(answer.read())["description"])
