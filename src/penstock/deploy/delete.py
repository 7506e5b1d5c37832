"""Removing a deployment, and the proof that nothing is left of it."""

from __future__ import annotations

from msgspec import Struct

from penstock.deploy.bucket import split_url
from penstock.deploy.discover import discover, tags_of
from penstock.deploy.kinds import Making
from penstock.deploy.ledger import Event, Ledger
from penstock.deploy.removal import remove_all
from penstock.deploy.resources import DEPLOYMENT_TAG, Kind, Resource, bucket_name
from penstock.deploy.session import AwsSession
from penstock.deploy.table import SHARED
from penstock.deploy.wait import wait_settled
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import Conflict, NotFound
from penstock.ground.progress import SILENT, Progress


class DeletionReport(Struct, frozen=True, kw_only=True):
    """``nothing_left`` is true only if a second look by name, by tag and in the ledger found nothing."""

    name: str
    nothing_left: bool
    removed: tuple[Resource, ...] = ()
    leftovers: tuple[Resource, ...] = ()
    unchecked: tuple[str, ...] = ()
    reasons: dict[str, str] = {}


def delete(
    name: str,
    *,
    session: AwsSession,
    ledger: Ledger,
    force: bool = False,
    progress: Progress = SILENT,
    clock: Clock = SYSTEM_CLOCK,
) -> DeletionReport:
    """Removes all that belongs to the deployment ``name``, then looks again.

    Raises NotFound when nothing of that name is or ever was there, and Conflict for an endpoint that Penstock did
    not make, unless ``force``.
    """
    making = Making(aws=session, deployment=name, progress=progress, clock=clock)
    with ledger.locked(name):
        targets = _everything(name, session, ledger)
        if not targets and not any(ledger.entries(name)):
            raise NotFound(f"There is no deployment {name!r} in {session.region}.", fix="See `penstock status`.")
        _check_ours(name, session, ledger, force)
        wait_settled(making, name)
        shared = {
            Resource(Kind.BUCKET, bucket_name(session.region, session.account)),
            Resource(Kind.REPOSITORY, "penstock"),
        }
        failed = remove_all(targets | shared, making, ledger)
        left = discover(name, session, repositories=_repositories(targets), buckets=_buckets(targets))
        leftovers = tuple(sorted({*left.found, *(one for one in failed if one.kind not in SHARED)}))
        report = DeletionReport(
            name=name,
            nothing_left=not leftovers and not left.unchecked,
            removed=tuple(sorted(one for one in targets - {*leftovers} if one.kind not in SHARED)),
            leftovers=leftovers,
            unchecked=left.unchecked,
            reasons={str(resource): error.message for resource, error in failed.items()},
        )
        if report.nothing_left:
            ledger.record(name, Event.DELETED, by=session.identity["Arn"])
        return report


def _everything(name: str, aws: AwsSession, ledger: Ledger) -> set[Resource]:
    known = set(ledger.resources(name))
    return known | {*discover(name, aws, repositories=_repositories(known), buckets=_buckets(known)).found}


def _check_ours(name: str, aws: AwsSession, ledger: Ledger, force: bool) -> None:
    found = aws.find("sagemaker", "describe_endpoint", EndpointName=name)
    if force or found is None or Resource(Kind.ENDPOINT, name) in ledger.resources(name):
        return
    if DEPLOYMENT_TAG not in tags_of(aws, found["EndpointArn"]):
        raise Conflict(f"The endpoint {name!r} was not made by Penstock.", fix="Add --force to delete it all the same.")


def _repositories(resources: set[Resource]) -> set[str]:
    return {one.name.partition(":")[0] for one in resources if one.kind in (Kind.IMAGE, Kind.REPOSITORY)}


def _buckets(resources: set[Resource]) -> set[str]:
    return {split_url(one.name)[0] for one in resources if one.kind is Kind.ARCHIVE}
