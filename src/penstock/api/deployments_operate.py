"""Operating deployments: traffic, promotion, rollback, history, cost, strays and expiry."""

from __future__ import annotations

from msgspec import Struct

from penstock.api.deployments_target import SAGEMAKER, aws_target
from penstock.deploy.cost import CostReport, cost_report
from penstock.deploy.expire import Expiry, expiries
from penstock.deploy.kinds import Making
from penstock.deploy.operate import Served, promote, roll_back, shift_traffic
from penstock.deploy.operate import history as read_history
from penstock.deploy.orphans import Orphan, find_orphans, remove_orphans
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.ground.errors import NotFound
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings


class OrphanReport(Struct, frozen=True, kw_only=True):
    """Strays that were found; ``removed`` says whether they were to be removed, ``failed`` what could not be."""

    orphans: tuple[Orphan, ...]
    removed: bool = False
    failed: dict[str, str] = {}


class ExpiryReport(Struct, frozen=True, kw_only=True):
    """Every endpoint of ours; ``deleted`` names those that went, ``left`` what could not be removed of them."""

    endpoints: tuple[Expiry, ...]
    deleted: tuple[str, ...] = ()
    left: dict[str, str] = {}


def set_traffic(
    name: str,
    weights: dict[str, float],
    *,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Gives variants these weights; returns all weights once they hold."""
    target = aws_target(to, settings or load_settings())
    with target.ledger.locked(name):
        return shift_traffic(_making(target, name, progress), name, weights, target.ledger)


def promote_variant(
    name: str, variant: str, *, to: str = SAGEMAKER, settings: Settings | None = None, progress: Progress = SILENT
) -> dict[str, float]:
    """Gives all traffic to one variant."""
    target = aws_target(to, settings or load_settings())
    with target.ledger.locked(name):
        return promote(_making(target, name, progress), name, variant, target.ledger)


def rollback(
    name: str,
    *,
    config: str | None = None,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> str:
    """Goes back to the former endpoint config, or to the one named; gives its name."""
    target = aws_target(to, settings or load_settings())
    with target.ledger.locked(name):
        return roll_back(_making(target, name, progress), name, target.ledger, to=config)


def history(name: str, *, to: str = SAGEMAKER, settings: Settings | None = None) -> tuple[Served, ...]:
    """What served when, newest first. Raises NotFound when this machine never deployed that name."""
    found = read_history(name, aws_target(to, settings or load_settings()).ledger)
    if not found:
        raise NotFound(f"This machine knows no deployment {name!r}.", fix="See `penstock status` for what there is.")
    return found


def cost(*, to: str = SAGEMAKER, settings: Settings | None = None) -> CostReport:
    """What is running in the account and region, and what it costs."""
    return cost_report(aws_target(to, settings or load_settings()).aws)


def orphans(
    *, remove: bool = False, to: str = SAGEMAKER, settings: Settings | None = None, progress: Progress = SILENT
) -> OrphanReport:
    """Things left without an endpoint, ours and those of mlflow's deployment client; removed if asked."""
    target = aws_target(to, settings or load_settings())
    found = find_orphans(target.aws, target.ledger)
    if not remove:
        return OrphanReport(orphans=found)
    failed = remove_orphans(found, session=target.aws, ledger=target.ledger, progress=progress)
    return OrphanReport(orphans=found, removed=True, failed=failed)


def expire(
    *,
    remove: bool = False,
    idle_minutes: int | None = None,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> ExpiryReport:
    """Endpoints whose time is over, or that nobody has called for ``idle_minutes``; deleted if asked."""
    target = aws_target(to, settings or load_settings())
    found = expiries(target.aws, idle_minutes=idle_minutes)
    due = [one.name for one in found if one.reason]
    if not remove:
        return ExpiryReport(endpoints=found)
    reports = [target.delete(name, progress=progress) for name in due]
    left = {report.name: ", ".join(map(str, report.leftovers)) for report in reports if not report.nothing_left}
    return ExpiryReport(endpoints=found, deleted=tuple(due), left=left)


def _making(target: SageMakerTarget, name: str, progress: Progress) -> Making:
    return Making(aws=target.aws, deployment=name, progress=progress)
