"""Every kind of resource and the one object that makes, removes and finds it."""

from __future__ import annotations

from penstock.deploy.bucket import ArchiveKind, BucketKind
from penstock.deploy.hosting import ConfigKind, EndpointKind, ModelKind
from penstock.deploy.kinds import ResourceKind
from penstock.deploy.repository import ImageKind, RepositoryKind
from penstock.deploy.resources import Kind
from penstock.deploy.roles import RoleKind
from penstock.deploy.transform import JobKind
from penstock.deploy.watching import AlarmKind, LogGroupKind, ScalingKind

KINDS: dict[Kind, ResourceKind] = {
    Kind.ROLE: RoleKind(),
    Kind.BUCKET: BucketKind(),
    Kind.REPOSITORY: RepositoryKind(),
    Kind.IMAGE: ImageKind(),
    Kind.ARCHIVE: ArchiveKind(),
    Kind.MODEL: ModelKind(),
    Kind.CONFIG: ConfigKind(),
    Kind.ALARM: AlarmKind(),
    Kind.ENDPOINT: EndpointKind(),
    Kind.SCALING: ScalingKind(),
    Kind.LOGS: LogGroupKind(),
    Kind.JOB: JobKind(),
}

# Containers that several deployments share: they go with the last thing in them, and are no leftovers before.
SHARED = {Kind.BUCKET, Kind.REPOSITORY}
