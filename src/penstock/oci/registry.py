"""An image registry as a WSGI application: push, pull, list, delete and mount over a directory.

Source: the OCI distribution specification 1.1; ``ecr_mode`` answers as Amazon ECR does where the two differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.ground.errors import Conflict, IntegrityError, InvalidInput, NotFound, StorageFailed, UnsupportedMedia
from penstock.oci.digests import DIGEST, digest_of
from penstock.oci.reference import REPOSITORY, TAG
from penstock.oci.registry_http import Answer, Refusal, Request, file_answer, page_size, status_line
from penstock.oci.storage import RegistryStorage, UploadSession
from penstock.oci.types import OCI_INDEX, Descriptor, Index, Manifest, RawManifest, decode_manifest, encode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_MANIFEST_BYTES = 4 << 20
_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?:(?P<kind>blobs|manifests|referrers)/(?P<rest>.+)|tags/list)", re.ASCII)
_UPLOAD = re.compile(r"uploads(?:/(?P<id>[0-9a-f]{32})?)?")


class RegistryApp:
    """The registry over ``storage``.

    ``authorize`` sees each request's environment and says whether it may pass (401 with a Basic challenge if not).
    ``repository_exists`` says which repositories may be pushed to and pulled from (default: any).
    ``tag_immutable(repository, tag)`` forbids moving a tag that is there. Without ``mounting`` (ECR's default) a mount
    starts a plain upload.
    """

    def __init__(
        self,
        storage: RegistryStorage,
        *,
        authorize: Callable[[WSGIEnvironment], bool] | None = None,
        ecr_mode: bool = False,
        repository_exists: Callable[[str], bool] | None = None,
        tag_immutable: Callable[[str, str], bool] | None = None,
        mounting: bool | None = None,
    ) -> None:
        self.storage = storage
        self._authorize = authorize
        self._ecr_mode = ecr_mode
        self._repository_exists = repository_exists or (lambda _: True)
        self._tag_immutable = tag_immutable or (lambda _repository, _tag: False)
        self._mounting = not ecr_mode if mounting is None else mounting

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._answer(Request(environ))
        body = [answer.body] if isinstance(answer.body, bytes) else answer.body
        headers = {"Docker-Distribution-Api-Version": "registry/2.0", **answer.headers}
        if isinstance(answer.body, bytes):
            headers.setdefault("Content-Length", str(len(answer.body)))
        start_response(status_line(answer.status), list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    def _answer(self, request: Request) -> Answer:
        try:
            if self._authorize is not None and not self._authorize(request.environ):
                raise self._challenge()
            return self._route(request)
        except Refusal as refusal:
            return refusal.answer()
        except (UnsupportedMedia, InvalidInput) as error:
            return Refusal(400, "MANIFEST_INVALID", str(error)).answer()
        except StorageFailed as error:
            return Refusal(507, "UNAVAILABLE", str(error)).answer()

    def _challenge(self) -> Refusal:
        service = ',service="ecr.amazonaws.com"' if self._ecr_mode else ""
        return Refusal(
            401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=f'Basic realm="penstock"{service}'
        )

    def _route(self, request: Request) -> Answer:
        if request.path.rstrip("/") == "/v2":
            return _json(200, {})
        if request.path == "/v2/_catalog":
            return self._page(request, "repositories", self.storage.repositories(), {})
        found = _ROUTE.fullmatch(request.path)
        if found is None:
            raise Refusal(404, "UNSUPPORTED", f"Nothing answers at {request.path!r}.")
        name = self._repository(found["name"])
        rest = found["rest"] or ""
        upload = _UPLOAD.fullmatch(rest) if found["kind"] == "blobs" else None
        handlers = {
            "manifests": lambda: self._manifests(request, name, rest),
            "referrers": lambda: self._referrers(request, name, rest),
            "blobs": lambda: self._blobs(request, name, rest),
        }
        if upload is not None:
            return self._uploads(request, name, upload["id"])
        return handlers.get(found["kind"] or "", lambda: self._tags(request, name))()

    def _repository(self, name: str) -> str:
        if not REPOSITORY.fullmatch(name) or len(name) > 255:
            raise Refusal(400, "NAME_INVALID", f"{name[:300]!r} cannot name a repository.")
        if not self._repository_exists(name):
            raise Refusal(404, "NAME_UNKNOWN", f"The repository with name '{name}' does not exist in the registry.")
        return name

    def _blobs(self, request: Request, name: str, text: str) -> Answer:
        digest = _digest(text)
        if request.method == "DELETE":
            with _unknown("BLOB_UNKNOWN"):
                self.storage.delete_blob(name, digest)
            return Answer(202)
        _allow(request, "GET", "HEAD")
        path = self.storage.find_blob(name, digest)
        if path is None:
            raise Refusal(404, "BLOB_UNKNOWN", f"{name} has no blob {digest}.")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        return file_answer(path, headers, request)

    def _uploads(self, request: Request, name: str, upload_id: str | None) -> Answer:
        if upload_id is None:
            _allow(request, "POST")
            return self._start_upload(request, name)
        with _unknown("BLOB_UPLOAD_UNKNOWN"):
            upload = self.storage.upload(name, upload_id)
        steps: dict[str, Callable[[], Answer]] = {
            "GET": lambda: self._progress(upload, 204),
            "PATCH": lambda: self._patch(request, upload),
            "PUT": lambda: self._finish(request, upload),
            "DELETE": lambda: self._cancel(upload),
        }
        _allow(request, *steps)
        return steps[request.method]()

    def _start_upload(self, request: Request, name: str) -> Answer:
        mount, source = request.query.get("mount"), request.query.get("from")
        if mount and source and self._mounting and REPOSITORY.fullmatch(source):
            digest = _digest(mount)
            if self._repository_exists(source) and self.storage.mount_blob(name, digest, source=source):
                return _created(name, digest)
        upload = self.storage.start_upload(name)
        if "digest" in request.query:
            return self._finish(request, upload)
        return self._progress(upload, 202)

    def _patch(self, request: Request, upload: UploadSession) -> Answer:
        if self._ecr_mode and upload.size_bytes:
            raise Refusal(
                416,
                "BLOB_UPLOAD_INVALID",
                "Only one PATCH a session is taken, as in ECR. Upload the blob in one PUT.",
                **self._where(upload),
            )
        return self._progress(self._append(request, upload), 201 if self._ecr_mode else 202)

    def _append(self, request: Request, upload: UploadSession) -> UploadSession:
        span = request.content_range()
        if span is not None and span[0] != upload.size_bytes:
            raise Refusal(416, "BLOB_UPLOAD_INVALID", "The chunk is out of order.", **self._where(upload))
        if span is not None and request.content_length not in (None, span[1] - span[0] + 1):
            raise Refusal(400, "SIZE_INVALID", "Content-Range and Content-Length say different sizes.")
        try:
            return self.storage.append(upload, request.chunks())
        except Conflict as error:
            raise Refusal(416, "BLOB_UPLOAD_INVALID", str(error), **self._where(upload)) from error

    def _finish(self, request: Request, upload: UploadSession) -> Answer:
        digest = _digest(request.query.get("digest", ""))
        upload = self._append(request, upload)
        try:
            self.storage.finish_upload(upload, digest)
        except IntegrityError as error:
            raise Refusal(400, "DIGEST_INVALID", str(error)) from error
        return _created(upload.repository, digest)

    def _cancel(self, upload: UploadSession) -> Answer:
        self.storage.cancel_upload(upload)
        return Answer(204)

    def _progress(self, upload: UploadSession, status: int) -> Answer:
        return Answer(status, {"Docker-Upload-UUID": upload.id, **self._where(upload)})

    def _where(self, upload: UploadSession) -> dict[str, str]:
        location = f"/v2/{upload.repository}/blobs/uploads/{upload.id}"
        return {"Location": location, "Range": f"0-{max(0, upload.size_bytes - 1)}"}

    def _manifests(self, request: Request, name: str, version: str) -> Answer:
        if not (TAG.fullmatch(version) or DIGEST.fullmatch(version)):
            raise Refusal(400, "DIGEST_INVALID" if ":" in version else "TAG_INVALID", f"{version!r} names no manifest.")
        if request.method == "PUT":
            return self._put_manifest(request, name, version)
        if request.method == "DELETE":
            return self._delete_manifest(name, version)
        _allow(request, "GET", "HEAD")
        stored = self._stored(name, version)
        headers = {"Content-Type": stored.media_type, "Docker-Content-Digest": stored.digest}
        return Answer(200, {**headers, "Content-Length": str(len(stored.content))}, stored.content)

    def _stored(self, name: str, version: str) -> RawManifest:
        stored = self.storage.find_manifest(name, version)
        if stored is None:
            code = "MANIFEST_UNKNOWN" if self._ecr_mode or self.storage.has_repository(name) else "NAME_UNKNOWN"
            raise Refusal(404, code, f"{name} has no manifest {version}.")
        return stored

    def _put_manifest(self, request: Request, name: str, version: str) -> Answer:
        content = request.body(limit_bytes=MAX_MANIFEST_BYTES)
        tag = None if DIGEST.fullmatch(version) else version
        manifest = _manifest(content, request.content_type)
        if tag is None and digest_of(content) != version:
            raise Refusal(400, "DIGEST_INVALID", "The manifest has another digest.")
        if tag is not None and tag in self.storage.tags(name) and self._tag_immutable(name, tag):
            raise Refusal(
                400,
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because "
                "the repository is immutable.",
            )
        try:
            digest = self.storage.put_manifest(name, content, media_type=manifest.media_type, tag=tag)
        except NotFound as error:
            raise Refusal(400, "MANIFEST_BLOB_UNKNOWN", str(error)) from error
        subject = {"OCI-Subject": manifest.subject.digest} if manifest.subject else {}
        return _created(name, digest, kind="manifests", **subject)

    def _delete_manifest(self, name: str, version: str) -> Answer:
        with _unknown("MANIFEST_UNKNOWN"):
            if DIGEST.fullmatch(version):
                self.storage.delete_manifest(name, version)
            else:
                self.storage.delete_tag(name, version)
        return Answer(202)

    def _tags(self, request: Request, name: str) -> Answer:
        _allow(request, "GET")
        if not self._ecr_mode and not self.storage.has_repository(name):
            raise Refusal(404, "NAME_UNKNOWN", f"There is no repository {name}.")
        return self._page(request, "tags", list(self.storage.tags(name)), {"name": name})

    def _page(self, request: Request, key: str, entries: list[str], extra: dict[str, str]) -> Answer:
        last, size = request.query.get("last", ""), page_size(request)
        left = [entry for entry in entries if entry > last]
        page = left if size is None else left[:size]
        more = page and len(page) < len(left)
        link = {"Link": f'<{request.path}?n={size}&last={page[-1]}>; rel="next"'} if more else {}
        return _json(200, {**extra, key: page}, **link)

    def _referrers(self, request: Request, name: str, text: str) -> Answer:
        _allow(request, "GET")
        wanted = request.query.get("artifactType")
        entries = tuple(map(_referrer, self.storage.referrers(name, _digest(text))))
        kept = tuple(entry for entry in entries if wanted in (None, entry.artifact_type))
        headers = {"Content-Type": OCI_INDEX, **({"OCI-Filters-Applied": "artifactType"} if wanted else {})}
        return Answer(200, headers, encode(Index(schema_version=2, media_type=OCI_INDEX, manifests=kept)))


def _referrer(stored: RawManifest) -> Descriptor:
    manifest = stored.decode()
    artifact_type = manifest.artifact_type
    if artifact_type is None and isinstance(manifest, Manifest):
        artifact_type = manifest.config.media_type
    return Descriptor(
        media_type=stored.media_type,
        digest=stored.digest,
        size_bytes=len(stored.content),
        annotations=manifest.annotations,
        artifact_type=artifact_type,
    )


def _manifest(content: bytes, content_type: str) -> Manifest | Index:
    manifest = decode_manifest(content, media_type=content_type)
    told = content_type.partition(";")[0].strip()
    if told not in ("", "application/json", manifest.media_type):
        raise Refusal(400, "MANIFEST_INVALID", f"Its mediaType is {manifest.media_type}, its Content-Type {told}.")
    return manifest


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise Refusal(400, "DIGEST_INVALID", f"{text[:100]!r} is not a sha256 digest.")
    return text


def _created(name: str, digest: str, *, kind: str = "blobs", **headers: str) -> Answer:
    return Answer(201, {"Location": f"/v2/{name}/{kind}/{digest}", "Docker-Content-Digest": digest, **headers})


def _json(status: int, value: Any, **headers: str) -> Answer:
    return Answer(status, {"Content-Type": "application/json", **headers}, msgspec.json.encode(value))


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise Refusal(405, "UNSUPPORTED", f"{request.method} is not offered here.", Allow=", ".join(methods))


@contextmanager
def _unknown(code: str) -> Iterator[None]:
    """Turns NotFound into the specification's code for it."""
    try:
        yield
    except NotFound as error:
        raise Refusal(404, code, str(error)) from error
