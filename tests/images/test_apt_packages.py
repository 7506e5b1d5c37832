from __future__ import annotations

import pytest

from penstock.ground.errors import EnvironmentMismatch
from penstock.images.bases.apt_packages import PackageIndex, closure, version_key

# In the order of deb-version(7); each of these was compared with `dpkg --compare-versions`.
ASCENDING = [
    "0~~", "0~", "0", "1.0~beta1~svn1245", "1.0~beta1", "1.0~rc1", "1.0", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-2",
    "1.0-10", "1.0a", "1.0+dfsg", "1.0.1", "1.1", "1.10", "2026f-0+deb12u1", "1:0.1", "2:0~1",
]  # fmt: skip


def test_versions_are_ordered_as_dpkg_does():
    shuffled = sorted(ASCENDING, key=lambda text: (len(text), text))
    assert sorted(shuffled, key=version_key) == ASCENDING


def test_a_missing_revision_is_revision_zero():
    assert version_key("1.0") == version_key("1.0-0")


def index(*packages: str) -> PackageIndex:
    made = PackageIndex()
    stanzas = []
    for text in packages:
        name, version, depends, *more = (part.strip() for part in (*text.split("|"), "", "")[:4])
        depends = depends.replace("/", "|")
        provides = f"Provides: {more[0]}\n" if more[0] else ""
        stanzas.append(
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nDepends: {depends}\n{provides}"
            f"Filename: pool/{name}_{version}.deb\nSize: 1\nSHA256: {name}-{version}\n"
        )
    made.add("http://a.example", "\n".join(stanzas).encode())
    return made


def names(found: PackageIndex, *roots: str, without: frozenset[str] = frozenset()) -> list[str]:
    return [f"{package.name} {package.version}" for package in closure(found, roots, without=without)]


def test_the_newest_version_of_several_archives_is_taken():
    made = index("a | 1.0-1 |")
    made.add(
        "http://b.example",
        b"Package: a\nVersion: 1.0-1+deb12u1\nArchitecture: amd64\nFilename: x\nSize: 1\nSHA256: y\n",
    )
    assert names(made, "a") == ["a 1.0-1+deb12u1"]
    found = made.find("a")
    assert found is not None
    assert found.url == "http://b.example/x"


def test_the_walk_takes_what_is_needed_and_no_more():
    made = index("a | 1 | b (>= 1), c:any [linux-any]", "b | 1 | a", "c | 1 |", "unused | 1 |")
    assert names(made, "a") == ["a 1", "b 1", "c 1"]


def test_alternatives_and_virtual_packages():
    made = index("a | 1 | nothere / b", "b | 1 | mail-agent", "postfix | 3 | | mail-agent (= 1), other")
    assert names(made, "a") == ["a 1", "b 1", "postfix 3"]


def test_what_is_left_out_takes_its_alternatives_with_it():
    made = index("a | 1 | debconf / debconf-2.0, b", "b | 1 |", "debconf-2.0 | 1 |")
    assert names(made, "a", without=frozenset({"debconf"})) == ["a 1", "b 1"]


def test_a_missing_package_is_named():
    with pytest.raises(EnvironmentMismatch, match="no package 'ghost'"):
        names(index("a | 1 | ghost"), "a")
