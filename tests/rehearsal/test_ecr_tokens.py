"""The registry's tokens: 12 hours and no longer, for nobody who changes one, and URLs for one layer only."""

from __future__ import annotations

import base64

import pytest

from penstock.oci.registry_http import Refusal
from penstock.rehearsal.ecr.tokens import TOKEN_MS, Tokens


class Held:
    """A clock that stands where it is set."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def environ(token: str = "", *, path: str = "/v2/", query: str = "", method: str = "GET") -> dict[str, str]:
    header = {"HTTP_AUTHORIZATION": f"Basic {token}"} if token else {}
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, **header}


def test_a_token_holds_for_twelve_hours() -> None:
    clock = Held()
    tokens = Tokens("secret", clock=clock)
    token = tokens.authorization(clock.at_ms + TOKEN_MS)
    assert base64.b64decode(token).startswith(b"AWS:")
    assert tokens.admits(environ(token))
    assert Tokens("secret", clock=clock).admits(environ(token)), "a plane that was started again knows it"
    assert not Tokens("another", clock=clock).admits(environ(token))
    clock.at_ms += TOKEN_MS - 1
    assert tokens.admits(environ(token, method="PUT"))
    clock.at_ms += 1
    with pytest.raises(Refusal, match="Your authorization token has expired") as caught:
        tokens.admits(environ(token))
    assert (caught.value.status, caught.value.code) == (403, "DENIED")


@pytest.mark.parametrize("text", ["", "AWS:", "AWS:x", "AWS:ffffffffffff-00", "root:{password}", "AWS:f{password}"])
def test_nothing_else_is_admitted(text: str) -> None:
    clock = Held()
    tokens = Tokens("secret", clock=clock)
    text = text.format(password=tokens.password(clock.at_ms + 1))
    assert not tokens.admits(environ(base64.b64encode(text.encode()).decode()))
    assert not tokens.admits(environ("not base64"))
    assert not tokens.admits(environ())


def test_a_layer_s_url_reads_that_layer_only() -> None:
    clock = Held()
    tokens = Tokens("secret", clock=clock)
    path, _, query = tokens.signed_path("/v2/a/blobs/sha256:1", clock.at_ms + 1).partition("?")
    assert tokens.admits(environ(path=path, query=query))
    assert not tokens.admits(environ(path=path, query=query, method="DELETE"))
    assert not tokens.admits(environ(path="/v2/a/blobs/sha256:2", query=query))
