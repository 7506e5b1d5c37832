"""The doctor: everything around a deploy that can be checked beforehand, here and in AWS."""

from __future__ import annotations

from urllib.parse import urlsplit

from penstock.api.client import MlflowClient
from penstock.api.deployments_target import LOCAL, SAGEMAKER, aws_target, plane_dir
from penstock.deploy.doctor import Check, Subject, Verdict, examine
from penstock.ground.errors import PenstockError
from penstock.ground.settings import Settings, load_settings
from penstock.rehearsal.process import find_plane


def doctor(
    *, subject: Subject | None = None, to: str = SAGEMAKER, settings: Settings | None = None
) -> tuple[Check, ...]:
    """The checks in the order in which a deploy would meet them. Never raises for what it finds."""
    known = settings or load_settings()
    return (_plane(known), _tracking(known), *_aws(subject or Subject(), to, known))


def _aws(subject: Subject, to: str, settings: Settings) -> tuple[Check, ...]:
    try:
        aws = aws_target(to, settings).aws
    except PenstockError as error:
        return (Check(name="session", verdict=Verdict.FAIL, saw=error.message, fix=error.fix or ""),)
    return examine(aws, subject)


def _plane(settings: Settings) -> Check:
    found = find_plane(plane_dir(settings))
    saw = f"runs at {found.url}" if found else f"is not running; `--to {LOCAL}` starts it"
    return Check(name="plane", verdict=Verdict.OK, saw=saw)


def _tracking(settings: Settings) -> Check:
    shown = urlsplit(settings.tracking_uri)
    where = f"{shown.scheme}://{shown.hostname or ''}{shown.path}"
    try:
        MlflowClient(settings.tracking_uri).search_experiments(max_results=1)
    except PenstockError as error:
        fix = error.fix or "Correct MLFLOW_TRACKING_URI, or start the server."
        return Check(name="tracking", verdict=Verdict.FAIL, saw=f"{where}: {error.message}", fix=fix)
    return Check(name="tracking", verdict=Verdict.OK, saw=where)
