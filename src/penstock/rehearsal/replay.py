"""Roles, topics and alarms over a restart: the requests that made them, kept line by line and asked again at start.

moto keeps these services in memory only. What they hold is small and made by requests whose outcome depends on nothing
else, so the requests themselves are the simplest record; identifiers that moto draws at random are drawn anew.
"""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from penstock.ground.files import ensure_directory, storage_errors
from penstock.rehearsal.wsgi import WsgiApp

KEPT = {
    "iam": {
        "CreateRole", "DeleteRole", "UpdateRole", "UpdateAssumeRolePolicy", "TagRole", "UntagRole", "PutRolePolicy",
        "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "PutRolePermissionsBoundary",
        "DeleteRolePermissionsBoundary", "CreatePolicy", "DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion",
        "SetDefaultPolicyVersion", "CreateUser", "DeleteUser", "PutUserPolicy", "DeleteUserPolicy",
        "AttachUserPolicy", "DetachUserPolicy",
    },
    "sns": {"CreateTopic", "DeleteTopic", "SetTopicAttributes"},
    "monitoring": {"PutMetricAlarm", "DeleteAlarms"},
}  # fmt: skip
_HEADERS = ("CONTENT_TYPE", "HTTP_AUTHORIZATION", "HTTP_X_AMZ_TARGET", "HTTP_X_AMZN_QUERY_MODE", "HTTP_HOST")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request that changed something."""

    path: str
    headers: dict[str, str]
    body: bytes


class Replay:
    """Puts a record behind services' applications; a service is brought up to date when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._wrapped: dict[str, WsgiApp] = {}

    def wrap(self, service: str, app: WsgiApp) -> WsgiApp:
        """The application with its past restored and its future recorded."""
        if service not in KEPT:
            return app
        with self._lock:
            if service not in self._wrapped:
                for asked in self._read(service):
                    list(app(_environ(asked), lambda *_: lambda _piece: None))
                self._wrapped[service] = self._recording(service, app)
            return self._wrapped[service]

    def _recording(self, service: str, app: WsgiApp) -> WsgiApp:
        def recorded(environ: dict[str, Any], start_response: Any) -> Any:
            body = environ["wsgi.input"].read()
            environ["wsgi.input"] = io.BytesIO(body)
            if _action(environ, body) not in KEPT[service]:
                return app(environ, start_response)
            status: list[str] = []

            def remember(line: str, headers: Any, exc_info: Any = None) -> Any:
                status.append(line)
                return start_response(line, headers, exc_info)

            answer = list(app(environ, remember))
            if status and status[-1].startswith("2"):
                self._append(service, environ, body)
            return answer

        return recorded

    def _read(self, service: str) -> list[Asked]:
        path = self._path(service)
        lines = path.read_bytes().splitlines() if path.exists() else []
        asked = []
        for line in lines:
            try:
                asked.append(msgspec.json.decode(line, type=Asked))
            except msgspec.DecodeError:  # the last line of a plane that was killed while it wrote
                break
        return asked

    def _append(self, service: str, environ: dict[str, Any], body: bytes) -> None:
        headers = {name: environ[name] for name in _HEADERS if name in environ}
        line = msgspec.json.encode(Asked(path=environ["PATH_INFO"], headers=headers, body=body)) + b"\n"
        path = self._path(service)
        with self._lock, storage_errors(path), path.open("ab") as file:
            file.write(line)

    def _path(self, service: str) -> Path:
        return ensure_directory(self._directory) / f"{service}.jsonl"


def _action(environ: dict[str, Any], body: bytes) -> str:
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return target.partition(".")[2]
    return parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]


def _environ(asked: Asked) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": asked.path, "RAW_URI": asked.path,
        "REQUEST_URI": asked.path, "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "CONTENT_LENGTH": str(len(asked.body)),
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(asked.body),
        "wsgi.input_terminated": True, "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False, **asked.headers,
    }  # fmt: skip
