"""One site over HTTP: kept connections, retries, credentials, and its failures as Penstock's errors."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from penstock.artifacts.streams import Source
from penstock.ground.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    IntegrityError,
    InvalidInput,
    NotFound,
    NotImplementedHere,
    PenstockError,
    QuotaExceeded,
    StorageFailed,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from penstock.ground.version import __version__

_BY_CODE: dict[str, type[PenstockError]] = {
    "RESOURCE_ALREADY_EXISTS": AlreadyExists,
    "ALREADY_EXISTS": AlreadyExists,
    "RESOURCE_DOES_NOT_EXIST": NotFound,
    "RESOURCE_CONFLICT": Conflict,
}
_BY_STATUS: dict[int, type[PenstockError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: NotImplementedHere,
    409: Conflict,
    413: TooLarge,
    422: IntegrityError,
    429: QuotaExceeded,
    501: NotImplementedHere,
    507: StorageFailed,
}
_RETRIED_STATUS = (408, 429, 502, 503, 504)
_RETRIES = 3
_TIMEOUT = urllib3.Timeout(connect=5.0, read=120.0)


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers that say who is asking: MLflow's variables for a user and password, or for a bearer token."""
    user = environment.get("MLFLOW_TRACKING_USERNAME")
    password = environment.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        proof = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {proof}"}
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _pool(environment: Mapping[str, str]) -> urllib3.PoolManager:
    """Connections that check certificates as MLflow's variables say."""
    insecure = environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true")
    return urllib3.PoolManager(
        maxsize=8,
        blocksize=1 << 18,
        timeout=_TIMEOUT,
        cert_reqs="CERT_NONE" if insecure else "CERT_REQUIRED",
        ca_certs=environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH"),
        cert_file=environment.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    )


class Site:
    """The server at ``base_url`` (scheme, host, port and a path prefix, no query)."""

    def __init__(self, base_url: str, *, environment: Mapping[str, str] | None = None, retries: int = _RETRIES) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InvalidInput(f"{base_url!r} is not a server's address.", fix="Use http(s)://host:port.")
        known = os.environ if environment is None else environment
        self.base_url = base_url.rstrip("/")
        self._pool = _pool(known)
        self._headers = {"User-Agent": f"penstock/{__version__}", **credentials(known)}
        self._retries = retries

    def close(self) -> None:
        self._pool.clear()

    def json(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: Iterable[tuple[str, str]] = (),
        idempotent: bool = True,
    ) -> dict[str, Any]:
        """The JSON object that the site answers; an empty answer is an empty object. Raises what ``call`` raises."""
        body = None if document is None else msgspec.json.encode(document)
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = self.call(method, path, query=query, body=body, headers=headers, idempotent=idempotent)
        if not answer.data:
            return {}
        try:
            return msgspec.json.decode(answer.data, type=dict[str, Any])
        except msgspec.DecodeError:
            raise Unavailable(f"{self.base_url}{path} did not answer JSON.", fix="Check the address.") from None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: bytes | Source | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        idempotent: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        """The site's answer, if it is a good one; ``path`` is quoted already.

        ``stream`` leaves the body to be read. What is not ``idempotent`` is sent again only if it never arrived, and a
        body that is read from a source is sent once. Raises the PenstockError that the answer stands for, and
        Unavailable when there is none.
        """
        encoded = urlencode(tuple(query))
        url = f"{self.base_url}{path}" + (f"?{encoded}" if encoded else "")
        once = body is not None and not isinstance(body, bytes)
        try:
            answer = self._pool.request(
                method,
                url,
                body=cast("Any", body),
                headers={**self._headers, **(headers or {})},
                preload_content=not stream,
                redirect=method == "GET",
                retries=self._retry(0 if once else self._retries, idempotent=idempotent),
            )
        except HTTPError as error:
            raise Unavailable(
                f"{self.base_url} is away: {_reason(error)}.", fix="Start the server, or check the address."
            ) from error
        if answer.status >= 300:
            raise _error_of(answer, url)
        return answer

    def _retry(self, times: int, *, idempotent: bool) -> urllib3.Retry:
        return urllib3.Retry(
            total=times,
            read=times if idempotent else 0,
            status=times if idempotent else 0,
            status_forcelist=_RETRIED_STATUS,
            allowed_methods=None,
            backoff_factor=0.1,
            raise_on_status=False,
        )


def _reason(error: HTTPError) -> str:
    cause = getattr(error, "reason", None) or error
    return str(cause).rpartition(": ")[2].rstrip(".")


def _error_of(answer: urllib3.BaseHTTPResponse, url: str) -> PenstockError:
    """The answer as an error: by MLflow's error_code, else by the status."""
    text = answer.data.decode("utf-8", "replace")
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        document = {}
    fallback = Unavailable if answer.status >= 500 or answer.status == 408 else InvalidInput
    kind = _BY_CODE.get(str(document.get("error_code")), _BY_STATUS.get(answer.status, fallback))
    message = document.get("message") or f"{url} answered {answer.status}: {text[:200].strip() or answer.reason}"
    return kind(str(message))
