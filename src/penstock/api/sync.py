"""Sending what waited on disk while a server was away."""

from __future__ import annotations

from msgspec import Struct

from penstock.api.backend import open_backend
from penstock.api.recording.delivery import deliver
from penstock.api.recording.destination import Destination
from penstock.api.recording.spool import Spool, list_spools
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.errors import PenstockError, Unavailable
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import load_settings


class SyncReport(Struct, frozen=True, kw_only=True):
    """How many operations were sent, why some were refused, and how many wait because their server is still away."""

    sent: int = 0
    refused: tuple[str, ...] = ()
    waiting: int = 0


def sync(*, progress: Progress = SILENT) -> SyncReport:
    """Sends every spool of the state directory to its server, in order and each operation once.

    Interrupted, it goes on behind the last operation that was acknowledged; one sent twice changes nothing. Raises
    StorageFailed.
    """
    settings = load_settings()
    reports = []
    for spool in list_spools(settings.state_dir):
        with progress.phase(f"Sending to {spool.tracking_uri}"), spool.held():
            reports.append(_send(spool, artifact_root=str(settings.state_dir / "artifacts")))
    return SyncReport(
        sent=sum(report.sent for report in reports),
        refused=tuple(reason for report in reports for reason in report.refused),
        waiting=sum(report.waiting for report in reports),
    )


def _send(spool: Spool, *, artifact_root: str) -> SyncReport:
    uri = spool.tracking_uri

    def artifacts(at: str) -> ArtifactRepository:
        return open_artifacts(at, tracking_uri=uri)

    backend = open_backend(uri, artifact_root=artifact_root)
    sink = Destination(backend, artifacts=artifacts, identities=spool.identities(), folder=spool.folder)
    refused: list[PenstockError] = []
    sent = 0
    try:
        for operation, mark in spool.waiting():
            refused.extend(deliver(operation, sink))
            spool.acknowledge(mark)
            spool.let_go(operation)
            sent += 1
    except Unavailable:
        return SyncReport(sent=sent, refused=_reasons(refused), waiting=sum(1 for _ in spool.waiting()))
    finally:
        backend.close()
    spool.remove()
    return SyncReport(sent=sent, refused=_reasons(refused))


def _reasons(errors: list[PenstockError]) -> tuple[str, ...]:
    return tuple(str(error) for error in errors)
