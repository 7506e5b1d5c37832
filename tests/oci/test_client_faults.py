"""The client against registries that fail, refuse, stall and lie: it retries what may help and believes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from oci.faults import BadTransport, Fault, Next, StillClock, answer, broken, changed, cut, status
from oci.images import AMD64, content, make_image
from penstock.ground.errors import (
    AlreadyExists,
    Conflict,
    EnvironmentMismatch,
    Forbidden,
    IntegrityError,
    InvalidInput,
    NotFound,
    PenstockError,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from penstock.oci.auth import Basic, Credentials
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.digests import digest_of
from penstock.oci.image import Image
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from penstock.oci.types import Platform

HOST = "registry.example"
PLACE = f"{HOST}/team/iris:v1"
EVERY_STEP = ["GET .*/manifests/", "HEAD .*/blobs/", "POST ", "PUT .*/blobs/", "PUT .*/manifests/"]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return make_image(tmp_path / "cache", model=os.urandom(5000))


@pytest.fixture
def bad(tmp_path: Path) -> BadTransport:
    return BadTransport(tmp_path / "registry")


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "pulled")


@pytest.fixture
def pushed(bad: BadTransport, image: Image) -> Image:
    with bad.client() as client:
        client.push(image, PLACE)
    bad.requests.clear()
    return image


@pytest.mark.parametrize("step", EVERY_STEP)
@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_push_survives_a_passing_failure_at_any_step(bad: BadTransport, image: Image, step: str, code: int) -> None:
    bad.spoil(step, status(code), times=3)
    clock = StillClock()
    with bad.client(clock=clock) as client:
        assert client.push(image, PLACE) == image.digest()
    assert clock.slept
    assert all(0.1 <= seconds <= 10 for seconds in clock.slept)


@pytest.mark.parametrize("step", EVERY_STEP)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError, httpx.ReadTimeout])
def test_a_push_survives_a_broken_connection_at_any_step(
    bad: BadTransport, image: Image, step: str, after: bool, error: type[httpx.TransportError]
) -> None:
    bad.spoil(step, broken(error, after=after), times=2)
    with bad.client() as client:
        assert client.push(image, PLACE) == image.digest()


@pytest.mark.parametrize("code", [404, 416, 400, 503])
def test_a_lost_upload_starts_a_new_session(bad: BadTransport, image: Image, code: int) -> None:
    bad.spoil("PUT .*/blobs/", status(code), times=1)
    with bad.client() as client:
        client.push(image, PLACE)
    sessions = [
        request.url.path for request in bad.requests if request.method == "PUT" and "/blobs/" in request.url.path
    ]
    assert len(sessions) == len(set(sessions)) == 4
    assert bad.count("POST") == 4


def test_retry_after_is_honoured_within_reason(bad: BadTransport, image: Image) -> None:
    bad.spoil("PUT .*/manifests/", status(429, Retry_After="7"))
    bad.spoil("PUT .*/manifests/", status(429, Retry_After="86400"))
    clock = StillClock()
    with bad.client(clock=clock) as client:
        client.push(image, PLACE)
    assert clock.slept == [7.0, 60.0]


def test_a_registry_that_stays_down_is_given_up(bad: BadTransport, image: Image) -> None:
    bad.spoil("", status(503, b'{"errors":[{"code":"UNAVAILABLE","message":"nap time"}]}'), times=99)
    with bad.client() as client, pytest.raises(Unavailable, match=r"503 to GET .* Try again later") as caught:
        client.push(image, PLACE)
    assert caught.value.retryable
    assert len(bad.requests) == 5


def test_a_stall_is_a_time_out(bad: BadTransport, image: Image) -> None:
    bad.spoil("GET", broken(httpx.ReadTimeout), times=99)
    with bad.client() as client, pytest.raises(TimedOut, match=f"{HOST} did not answer in time"):
        client.manifest(PLACE)


@pytest.mark.parametrize(
    ("code", "body", "kind", "told"),
    [
        (403, "DENIED", Forbidden, "DENIED: because"),
        (401, "UNAUTHORIZED", Unauthenticated, "Log in"),
        (404, "NAME_UNKNOWN", NotFound, "create the repository"),
        (413, "SIZE_INVALID", TooLarge, "413"),
        (400, "TAG_INVALID", AlreadyExists, "Choose another tag"),
        (405, "UNSUPPORTED", InvalidInput, "UNSUPPORTED"),
    ],
)
def test_a_refusal_is_final_and_says_why(
    bad: BadTransport, image: Image, code: int, body: str, kind: type[PenstockError], told: str
) -> None:
    document = json.dumps({"errors": [{"code": body, "message": "because"}]}).encode()
    bad.spoil("PUT .*/manifests/", status(code, document), times=99)
    clock = StillClock()
    with bad.client(clock=clock) as client, pytest.raises(kind, match=told):
        client.push(image, PLACE)
    assert clock.slept == []


@pytest.mark.parametrize("fault", [status(403), status(200, b"x" * (5 << 20)), status(200, b"{}")])
def test_who_cannot_read_what_is_there_can_push(bad: BadTransport, image: Image, fault: Fault) -> None:
    bad.spoil("(GET|HEAD) .*/manifests/", fault, times=99)
    with bad.client() as client:
        assert client.push(image, PLACE) == image.digest()


def test_a_failure_of_one_blob_stops_the_others(bad: BadTransport, tmp_path: Path) -> None:
    bad.spoil("POST", status(403), times=99)
    with bad.client() as client, pytest.raises(Forbidden):
        client.push(make_image(tmp_path / "cache"), PLACE)
    assert bad.count("PUT") == 0


def test_error_bodies_are_read_with_a_cap_and_never_trusted(bad: BadTransport) -> None:
    for body in (b"x" * 50_000_000, b'{"errors": 3}', b'{"errors":[3]}', b'["errors"]', b"\xff", b'{"errors":[]}'):
        bad.spoil("GET", status(403, body))
        with bad.client() as client, pytest.raises(Forbidden) as caught:
            client.manifest(PLACE)
        assert len(str(caught.value)) < 500


def test_secrets_in_addresses_are_not_repeated(bad: BadTransport, image: Image) -> None:
    bad.spoil("POST", status(202, Location="/v2/team/iris/blobs/uploads/1?_state=hidden"), times=99)
    bad.spoil("PUT", status(403), times=99)
    with bad.client() as client, pytest.raises(Forbidden) as caught:
        client.push(image, PLACE)
    assert "hidden" not in str(caught.value)


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize("at", [1, 700, 4000])
def test_a_cut_pull_goes_on_where_it_was(bad: BadTransport, image: Image, cache: BlobCache, at: int) -> None:
    layer = image.layers[1]
    bad.spoil(f"GET .*{layer.digest}", cut(at), times=1)
    with bad.client() as client:
        pulled = client.pull(PLACE, cache=cache, platform=AMD64)
    assert content(pulled.layers[1]) == content(layer)
    ranges = [request.headers.get("Range") for request in bad.requests if layer.digest in str(request.url)]
    assert ranges == [None, f"bytes={at}-"]


def test_a_bad_line_carries_a_large_blob_as_long_as_it_carries_something(bad: BadTransport, tmp_path: Path) -> None:
    large = make_image(tmp_path / "cache", model=os.urandom(6_000_000))
    bad.spoil(f"GET .*{large.layers[1].digest}", cut(1_300_000), times=4)
    with bad.client(attempts=1) as client:
        client.push(large, PLACE)
        pulled = client.pull(PLACE, cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    assert content(pulled.layers[1]) == content(large.layers[1])
    assert bad.count(f"GET .*{large.layers[1].digest}") == 5


@pytest.mark.usefixtures("pushed")
def test_a_pull_that_was_given_up_is_resumed_by_the_next(bad: BadTransport, image: Image, cache: BlobCache) -> None:
    layer = image.layers[1]
    bad.spoil(f"GET .*{layer.digest}", cut(2000), times=1)
    with bad.client(attempts=1) as client, pytest.raises(Unavailable):
        client.pull(PLACE, cache=cache, platform=AMD64)
    with bad.client() as client:
        assert client.pull(PLACE, cache=BlobCache(cache.directory), platform=AMD64).digest() == image.digest()
    ranges = [request.headers.get("Range") for request in bad.requests if layer.digest in str(request.url)]
    assert ranges == [None, "bytes=2000-"]


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize(
    "spoiled",
    [
        changed(lambda body: body, Content_Range="bytes 5-9/10"),
        changed(lambda body: bytes(len(body))),
        changed(lambda body: body + b"more"),
        status(416),
        status(503),
    ],
)
def test_a_resume_that_goes_wrong_starts_over(
    bad: BadTransport, image: Image, cache: BlobCache, spoiled: Fault
) -> None:
    layer = image.layers[1]
    bad.spoil(f"GET .*{layer.digest}", cut(1000))
    bad.spoil(f"GET .*{layer.digest}", spoiled)
    with bad.client() as client:
        pulled = client.pull(PLACE, cache=cache, platform=AMD64)
    assert content(pulled.layers[1]) == content(layer)


@pytest.mark.usefixtures("pushed")
def test_a_registry_without_ranges_is_asked_for_all_again(bad: BadTransport, image: Image, cache: BlobCache) -> None:
    layer = image.layers[1]

    def whole(request: httpx.Request, following: Next) -> httpx.Response:
        del request.headers["Range"]
        return following(request)

    bad.spoil(f"GET .*{layer.digest}", cut(1000))
    bad.spoil(f"GET .*{layer.digest}", whole)
    with bad.client() as client:
        pulled = client.pull(PLACE, cache=cache, platform=AMD64)
    assert content(pulled.layers[1]) == content(layer)


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body: body[:-1] + bytes([body[-1] ^ 1]), "has the digest"),
        (lambda body: body + b"more", "longer than"),
        (lambda body: b"\0" * len(body), "has the digest"),
    ],
)
def test_blobs_that_lie_are_refused_and_not_kept(
    bad: BadTransport, image: Image, cache: BlobCache, change: Callable[[bytes], bytes], told: str
) -> None:
    layer = image.layers[1]
    bad.spoil(f"GET .*{layer.digest}", changed(change), times=1)
    with bad.client() as client:
        with pytest.raises(IntegrityError, match=told):
            client.pull(PLACE, cache=cache, platform=AMD64)
        assert cache.find_blob(layer.digest) is None
        assert client.pull(PLACE, cache=cache, platform=AMD64).digest() == image.digest()


@pytest.mark.usefixtures("pushed")
def test_a_blob_that_is_always_short_is_given_up(bad: BadTransport, image: Image, cache: BlobCache) -> None:
    bad.spoil(
        f"GET .*{image.layers[1].digest}", changed(lambda body: body[:10], Content_Range="bytes 10-19/20"), times=99
    )
    with bad.client() as client, pytest.raises((Unavailable, IntegrityError)):
        client.pull(PLACE, cache=cache, platform=AMD64)
    assert cache.find_blob(image.layers[1].digest) is None


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize("by_digest", [False, True])
def test_manifests_that_lie_are_refused(bad: BadTransport, image: Image, cache: BlobCache, by_digest: bool) -> None:
    bad.spoil("GET .*/manifests/", changed(lambda body: body + b" "), times=1)
    place = f"{HOST}/team/iris@{image.digest()}" if by_digest else PLACE
    with bad.client() as client, pytest.raises(IntegrityError, match="was promised"):
        client.pull(place, cache=cache, platform=AMD64)


def test_a_registry_that_renames_what_it_takes_is_not_trusted(bad: BadTransport, image: Image) -> None:
    bad.spoil("PUT .*/manifests/", changed(lambda body: body, Docker_Content_Digest=digest_of(b"other")))
    with bad.client() as client, pytest.raises(IntegrityError, match="Do not trust this registry"):
        client.push(image, PLACE)


def test_a_blob_that_vanishes_before_the_manifest_is_pushed_again(bad: BadTransport, image: Image) -> None:
    def forgotten(request: httpx.Request, following: Next) -> httpx.Response:
        bad.storage.delete_blob("team/iris", image.layers[0].digest)
        return following(request)

    bad.spoil("PUT .*/manifests/", forgotten)
    with bad.client() as client:
        assert client.push(image, PLACE) == image.digest()
    assert bad.count(f"PUT .*{image.layers[0].digest.replace(':', '%3A')}") == 2
    bad.spoil("PUT .*/manifests/", forgotten, times=2)
    with bad.client() as client, pytest.raises(Conflict, match="MANIFEST_BLOB_UNKNOWN"):
        client.push(image, f"{HOST}/team/iris:v2")


def test_damage_in_our_own_cache_is_found_before_the_registry_is_blamed(bad: BadTransport, image: Image) -> None:
    path = Path(getattr(image.layers[1], "path"))  # noqa: B009
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    with bad.client() as client, pytest.raises(IntegrityError, match="A layer in the cache"):
        client.push(image, PLACE)


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", InvalidInput),
        (b"{}", UnsupportedMedia),
        (b"x" * (5 << 20), IntegrityError),
        (b'{"schemaVersion":2,"manifests":[]}', EnvironmentMismatch),
        (b'{"schemaVersion":1,"fsLayers":[]}', UnsupportedMedia),
    ],
)
def test_manifests_that_are_none_are_refused(
    bad: BadTransport, cache: BlobCache, body: bytes, kind: type[PenstockError]
) -> None:
    bad.spoil("GET .*/manifests/", status(200, body))
    with bad.client() as client, pytest.raises(kind):
        client.pull(PLACE, cache=cache, platform=AMD64)


def test_redirects_lose_the_credentials_on_the_way_to_another_host(
    bad: BadTransport, pushed: Image, cache: BlobCache
) -> None:
    def away(request: httpx.Request, _following: Next) -> httpx.Response:
        digest = request.url.path.rpartition("/")[2]
        return answer(307, headers={"Location": f"https://bucket.example/{digest}?X-Amz-Signature=abc"})

    def bucket(request: httpx.Request, _following: Next) -> httpx.Response:
        path = bad.storage.find_blob("team/iris", request.url.path[1:])
        assert path is not None
        return answer(200, path.read_bytes())

    bad.spoil("https://registry.example/.*", lambda request, following: challenge(request, following, away), times=99)
    bad.spoil("https://bucket.example/", bucket, times=99)
    with bad.client(auth=Basic("AWS", "secret")) as client:
        assert client.pull(PLACE, cache=cache, platform=AMD64).digest() == pushed.digest()
    seen = {request.url.host: "Authorization" in request.headers for request in bad.requests}
    assert seen == {HOST: True, "bucket.example": False}


def challenge(request: httpx.Request, following: Next, blobs: Fault) -> httpx.Response:
    """A registry that wants Basic credentials and sends blobs elsewhere."""
    if "Authorization" not in request.headers:
        return answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    return blobs(request, following) if "/blobs/" in request.url.path else following(request)


@pytest.mark.usefixtures("pushed")
def test_redirects_to_plain_http_and_without_end_are_refused(bad: BadTransport, cache: BlobCache) -> None:
    bad.spoil("GET .*/blobs/", status(307, Location="http://bucket.example/x"), times=99)
    with bad.client() as client, pytest.raises(Forbidden, match="not encrypted"):
        client.pull(PLACE, cache=cache, platform=AMD64)
    looping = BadTransport(cache.directory.parent / "registry")
    looping.spoil("GET .*/manifests/", status(302, Location="v1"), times=99)
    with looping.client(attempts=1) as client, pytest.raises(Unavailable, match="redirects without end"):
        client.manifest(PLACE)


def test_an_upload_location_on_another_host_gets_no_credentials(bad: BadTransport, image: Image) -> None:
    def wants_login(request: httpx.Request, following: Next) -> httpx.Response:
        if "Authorization" not in request.headers:
            return answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        sound = following(request)
        if request.method == "POST":
            sound.headers["Location"] = f"https://upload.example{sound.headers['Location']}?_state=a%2Bb%3D%3D"
        return sound

    bad.spoil(f"https://{HOST}/", wants_login, times=99)
    with bad.client(auth=Basic("AWS", "secret")) as client:
        client.push(image, PLACE)
    puts = [request for request in bad.requests if request.url.host == "upload.example"]
    assert len(puts) == 3
    assert not any("Authorization" in request.headers for request in puts)
    assert all(b"_state=a%2Bb%3D%3D&digest=sha256%3A" in request.url.query for request in puts)


def test_a_password_that_expires_is_asked_for_again(tmp_path: Path, image: Image) -> None:
    """An ECR password lasts 12 hours; a keychain that fetches a new one carries a push over its end."""

    class Keys:
        asked = 0

        def find(self, registry: str) -> Credentials | None:
            self.asked += 1
            return Credentials("AWS", f"password-{self.asked}")

    def expiring(request: httpx.Request, following: Next) -> httpx.Response:
        good = Credentials("AWS", f"password-{1 if len(bad.requests) < 8 else 2}").basic
        if request.headers.get("Authorization") != good:
            return answer(401, headers={"WWW-Authenticate": 'Basic realm="ecr"'})
        return following(request)

    bad = BadTransport(tmp_path / "registry")
    bad.spoil("", expiring, times=999)
    keys = Keys()
    with bad.client(auth=keys) as client:
        assert client.push(image, PLACE) == image.digest()
    assert keys.asked == 2


class TokenRegistry(BadTransport):
    """A registry with a token service at another host; a token is good for so many requests."""

    def __init__(
        self,
        directory: Path,
        *,
        lifetime: int = 10_000,
        field: str = "token",
        realm: str = "https://auth.example/token",
    ) -> None:
        super().__init__(directory)
        self.issued: list[httpx.Request] = []
        self.service: Fault | None = None
        self._uses: dict[str, int] = {}
        self._lifetime = lifetime
        self._field = field
        self._realm = realm
        self.spoil(f"https://{HOST}/", self._registry, times=10_000)
        self.spoil("//auth.example/", self._token, times=10_000)

    def _token(self, request: httpx.Request, following: Next) -> httpx.Response:
        if self.service is not None:
            return self.service(request, following)
        self.issued.append(request)
        token = f"token-{len(self.issued)}"
        self._uses[token] = self._lifetime
        return httpx.Response(200, json={self._field: token, "expires_in": 60})

    def _registry(self, request: httpx.Request, following: Next) -> httpx.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self._uses.get(token):
            actions = "pull" if request.method in ("GET", "HEAD") else "pull,push"
            told = f'Bearer realm="{self._realm}",service="svc",scope="repository:team/iris:{actions}"'
            return answer(401, headers={"WWW-Authenticate": told})
        self._uses[token] -= 1
        return following(request)


@pytest.mark.parametrize("field", ["token", "access_token"])
def test_bearer_tokens_are_fetched_with_the_scopes_asked_for(tmp_path: Path, image: Image, field: str) -> None:
    registry = TokenRegistry(tmp_path / "registry", field=field)
    with registry.client(auth=Basic("ann", "secret")) as client:
        client.push(image, PLACE)
    assert len(registry.issued) == 1  # the token for pulling served: this registry does not look at scopes
    asked = registry.issued[0]
    assert dict(asked.url.params) == {"service": "svc", "scope": "repository:team/iris:pull"}
    assert asked.headers["Authorization"] == Credentials("ann", "secret").basic
    homes = [request for request in registry.requests if request.url.host == HOST]
    assert not any("Basic" in request.headers.get("Authorization", "") for request in homes)


def test_a_token_that_expires_in_mid_push_is_renewed(tmp_path: Path, image: Image) -> None:
    registry = TokenRegistry(tmp_path / "registry", lifetime=3)
    with registry.client() as client:
        assert client.push(image, PLACE) == image.digest()
    assert len(registry.issued) >= 3
    assert registry.issued[-1].url.params["scope"] == "repository:team/iris:pull,push"


def test_an_identity_token_is_traded(tmp_path: Path, image: Image) -> None:
    class Keys:
        def find(self, registry: str) -> Credentials | None:
            return Credentials("", "", identity_token="long-lived") if registry == HOST else None

    registry = TokenRegistry(tmp_path / "registry")
    with registry.client(auth=Keys()) as client:
        client.push(image, PLACE)
    asked = registry.issued[0]
    assert asked.method == "POST"
    assert b"grant_type=refresh_token&refresh_token=long-lived" in asked.content


def test_credentials_never_go_to_a_plain_token_service(tmp_path: Path, image: Image) -> None:
    registry = TokenRegistry(tmp_path / "registry", realm="http://auth.example/token")
    with registry.client(auth=Basic("ann", "secret")) as client, pytest.raises(Forbidden, match="not encrypted"):
        client.push(image, PLACE)
    assert registry.issued == []


@pytest.mark.parametrize(
    ("service", "told"),
    [
        (status(401), "refused the credentials"),
        (status(404), "no token"),
        (status(200, b"{}"), "no token"),
        (status(200, b"["), "no token"),
    ],
)
def test_a_token_service_that_fails(tmp_path: Path, image: Image, service: Fault, told: str) -> None:
    registry = TokenRegistry(tmp_path / "registry")
    registry.service = service
    with registry.client() as client, pytest.raises(Unauthenticated, match=told):
        client.push(image, PLACE)


def test_a_token_service_that_is_away_for_a_moment(tmp_path: Path, image: Image) -> None:
    registry = TokenRegistry(tmp_path / "registry")
    registry.spoil("auth.example", status(503), times=2)
    registry.faults.insert(0, registry.faults.pop())
    with registry.client() as client:
        assert client.push(image, PLACE) == image.digest()


@pytest.mark.parametrize("header", ["", "Negotiate", "Bearer", 'Bearer realm="', "Basic", ", ,", "\x7f"])
def test_strange_challenges_end_in_a_clear_refusal(bad: BadTransport, header: str) -> None:
    bad.spoil("GET", status(401, WWW_Authenticate=header), times=99)
    with bad.client() as client, pytest.raises((Unauthenticated, Forbidden)):
        client.manifest(PLACE)


def test_mirrors_are_asked_first_and_distrusted(tmp_path: Path, image: Image) -> None:
    home, cache = BadTransport(tmp_path / "registry"), tmp_path / "pulled"
    with home.client() as client:
        client.push(image, PLACE)
    mirrors = {HOST: ["mirror.example", "lying.example", "away.example"]}
    home.spoil("away.example", broken(httpx.ConnectError), times=99)
    home.spoil("lying.example/.*/blobs/", status(200, b"lies"), times=99)

    def pull(name: str, order: list[str]) -> set[str]:
        home.requests.clear()
        with RegistryClient(
            home, auth=Basic("ann", "secret", HOST), mirrors={HOST: order}, clock=StillClock()
        ) as client:
            pulled = client.pull(PLACE, cache=BlobCache(cache / name), platform=AMD64)
        assert pulled.digest() == image.digest()
        assert [content(layer) for layer in pulled.layers] == [content(layer) for layer in image.layers]
        return {request.url.host for request in home.requests if request.method == "GET"}

    assert pull("first", mirrors[HOST]) == {"mirror.example"}
    assert pull("second", ["lying.example"]) == {"lying.example", HOST}
    assert pull("third", ["away.example", "mirror.example"]) == {"away.example", "mirror.example"}
    assert pull("fourth", ["away.example"]) == {"away.example", HOST}


def test_mirrors_never_see_the_credentials(tmp_path: Path, image: Image) -> None:
    login = Credentials("ann", "secret").basic
    app = RegistryApp(RegistryStorage(tmp_path / "registry"), authorize=lambda e: e.get("HTTP_AUTHORIZATION") == login)
    home = BadTransport(tmp_path / "registry", app)
    auth = Basic("ann", "secret")
    with home.client(auth=auth) as client:
        client.push(image, PLACE)
    home.requests.clear()
    with RegistryClient(home, auth=auth, mirrors={HOST: ["mirror.example"]}, clock=StillClock()) as client:
        client.pull(PLACE, cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    seen = {request.url.host: request.headers.get("Authorization") for request in home.requests}
    assert seen == {"mirror.example": None, HOST: login}


def test_plain_http_is_for_loopback_or_when_asked(tmp_path: Path) -> None:
    bad = BadTransport(tmp_path / "registry")
    for place, insecure, scheme in (
        (PLACE, False, "https"),
        (PLACE, True, "http"),
        ("localhost:5000/a", False, "http"),
        ("127.0.0.1:5000/a", False, "http"),
        ("10.0.0.1:5000/a", False, "https"),
        ("python", False, "https"),
    ):
        bad.requests.clear()
        with RegistryClient(bad, insecure_http=insecure) as client:
            assert client.find_digest(place) is None
        assert [request.url.scheme for request in bad.requests] == [scheme]
    assert bad.requests[0].url.host == "registry-1.docker.io"
    assert bad.requests[0].url.path == "/v2/library/python/manifests/latest"


def test_an_upload_location_that_is_not_encrypted_is_refused(bad: BadTransport, image: Image) -> None:
    bad.spoil("POST", status(202, Location=f"http://{HOST}/v2/team/iris/blobs/uploads/1"), times=99)
    with bad.client() as client, pytest.raises(Forbidden, match="not encrypted"):
        client.push(image, PLACE)
    assert bad.count("PUT") == 0


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags": 3}'])
def test_lists_of_tags_that_are_none(bad: BadTransport, body: bytes) -> None:
    bad.spoil("GET", status(200, body))
    with bad.client() as client, pytest.raises(IntegrityError, match="list of tags"):
        client.tags(PLACE)


def test_a_list_of_tags_without_end_ends(bad: BadTransport) -> None:
    bad.spoil("GET", status(200, b'{"tags":["a"]}', Link='</v2/team/iris/tags/list?last=a>; rel="next"'), times=99)
    with bad.client() as client:
        assert client.tags(PLACE) == ["a", "a"]


@pytest.mark.usefixtures("pushed")
def test_an_image_for_another_platform_is_refused_before_its_layers_travel(bad: BadTransport, cache: BlobCache) -> None:
    with bad.client() as client, pytest.raises(EnvironmentMismatch):
        client.pull(PLACE, cache=cache, platform=Platform("linux", "arm64"))
    assert bad.count("GET .*/blobs/") == 1
