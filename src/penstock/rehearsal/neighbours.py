"""The AWS services around hosting, as moto plays them: S3, STS, IAM, CloudWatch, Logs, SNS; loaded when first needed.

moto is the one heavy import of the plane, so it is made here, late, in a thread, and never before the plane is ready.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterable
from typing import Any

from penstock.rehearsal.percentiles import teach_percentiles
from penstock.rehearsal.wsgi import WsgiApp

# What the credential scope calls each service, and moto's name of it.
SERVICES = {
    "s3": "s3",
    "sts": "sts",
    "iam": "iam",
    "monitoring": "cloudwatch",
    "logs": "logs",
    "sns": "sns",
}


# moto knows AWS's own policies (AmazonSageMakerFullAccess, ...) only when told to: 1,582 of them in 0.12 s.
_MANAGED_POLICIES = "MOTO_IAM_LOAD_MANAGED_POLICIES"


class Neighbours:
    """moto's applications and backends of one account."""

    def __init__(self, account: str) -> None:
        self.account = account
        self._apps: dict[str, WsgiApp] = {}
        self._lock = threading.Lock()

    def app(self, service: str) -> WsgiApp:
        """The WSGI application of a service, e.g. "s3"; the first call takes about a second."""
        name = SERVICES[service]
        with self._lock:
            if name not in self._apps:
                os.environ.setdefault(_MANAGED_POLICIES, "true")
                server = importlib.import_module("moto.moto_server.werkzeug_app")
                self._apps[name] = server.create_backend_app(name)
                if name == "cloudwatch":
                    teach_percentiles()
            return self._apps[name]

    def loaded(self, service: str) -> bool:
        """Whether anybody has asked for the service yet."""
        return SERVICES[service] in self._apps

    def backend(self, service: str, region: str) -> Any:
        """moto's own object behind a service; global services go by the partition, not the region."""
        key = "aws" if service in ("s3", "iam", "sts") else region
        with self._lock:  # two threads that import moto at once meet half of it
            module = importlib.import_module("moto.backends")
            return module.get_backend(SERVICES[service])[self.account][key]

    def load(self, services: Iterable[str] = SERVICES) -> None:
        """Loads the services, so that the first caller need not wait."""
        for service in services:
            self.app(service)
