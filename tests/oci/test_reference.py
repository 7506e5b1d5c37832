"""How references are written: defaults, ports, digests, and what is refused."""

from __future__ import annotations

import pytest

from penstock.ground.errors import InvalidInput
from penstock.oci.reference import Reference, is_loopback

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", Reference("docker.io", "library/python", "latest")),
        ("python:3.11", Reference("docker.io", "library/python", "3.11")),
        ("team/model", Reference("docker.io", "team/model", "latest")),
        ("index.docker.io/python", Reference("docker.io", "library/python", "latest")),
        ("localhost/a", Reference("localhost", "a", "latest")),
        ("127.0.0.1:5000/a/b:v1", Reference("127.0.0.1:5000", "a/b", "v1")),
        ("[::1]:5000/a", Reference("[::1]:5000", "a", "latest")),
        (f"r.io/a@sha256:{HEX}", Reference("r.io", "a", "", f"sha256:{HEX}")),
        (f"r.io:1/a/b__c:t@sha256:{HEX}", Reference("r.io:1", "a/b__c", "t", f"sha256:{HEX}")),
        (
            "000000000000.dkr.ecr.eu-west-1.amazonaws.com/iris:1",
            Reference("000000000000.dkr.ecr.eu-west-1.amazonaws.com", "iris", "1"),
        ),
    ],
)
def test_references_are_read(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "A/b",
        "r.io/UPPER",
        "r.io/a:",
        "r.io/a:b:c",
        "r.io/a:-t",
        "r.io/a@sha256:12",
        "r.io/a@",
        "r.io/a@md5:" + HEX,
        "r.io/../a",
        "r.io/a//b",
        "r.io/a/",
        "http://r.io/a",
        "r.io/a b",
        "r.io/a\n",
        "r.io:port/a",
        f"r.io/{'a' * 300}",
        "evil.io:80\\@good.io/a",
    ],
)
def test_what_is_not_a_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not an image reference"):
        Reference.parse(text)


def test_a_reference_prints_as_it_is_parsed() -> None:
    for text in ("r.io:5000/a/b:t", f"r.io/a@sha256:{HEX}", f"r.io/a:t@sha256:{HEX}"):
        assert str(Reference.parse(text)) == text
        assert Reference.parse(text).at(f"sha256:{HEX}").version == f"sha256:{HEX}"


def test_loopback_is_judged_by_the_host_alone() -> None:
    assert all(
        map(is_loopback, ("localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000", "x.localhost"))
    )
    assert not any(map(is_loopback, ("127.0.0.1.evil.io", "localhost.evil.io", "10.0.0.1:5000", "r.io", "[::2]:1")))
