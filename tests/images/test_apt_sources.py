from __future__ import annotations

from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput
from penstock.images.bases.apt_sources import given_sources, host_sources, release_of, sources_for

DEB822 = """# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/
Suites: bookworm
Components: main
"""
ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/debian bookworm-security main  # note
deb-src http://mirror.example/debian bookworm main
deb [ trusted=yes check-valid-until=no ] file:/media/debian bookworm main
deb https://packages.vendor.example/apt vendor-bookworm main
"""


def test_the_hosts_files_of_both_forms_are_read(tmp_path: Path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    found = host_sources(tmp_path)
    assert [(source.uri, source.suite) for source in found] == [
        ("http://mirror.example/debian", "bookworm-security"),
        ("file:/media/debian", "bookworm"),
        ("https://packages.vendor.example/apt", "vendor-bookworm"),
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
    ]
    assert found[0].signed_by == "/keys/a.gpg"
    assert found[1].trusted
    assert not found[1].check_valid_until
    assert "BEGIN PGP" in found[3].signed_by


def test_a_host_without_apt_has_no_sources(tmp_path: Path):
    assert host_sources(tmp_path) == ()


def test_the_setting_may_be_lines_or_a_file(tmp_path: Path):
    assert given_sources("deb http://a.example/debian trixie main")[0].suite == "trixie"
    (tmp_path / "my.sources").write_text(DEB822)
    assert len(given_sources(str(tmp_path / "my.sources"))) == 2


@pytest.mark.parametrize("setting", ["/no/such/file", "deb-src http://a.example trixie main", "deb http://a.example"])
def test_a_setting_that_names_no_archive_is_refused(setting: str):
    with pytest.raises(InvalidInput, match=r"apt_sources|does not exist"):
        given_sources(setting)


def test_the_python_chooses_the_release_at_the_same_archives(tmp_path: Path):
    (tmp_path / "sources.list").write_text(ONE_LINE)
    found = sources_for(host_sources(tmp_path), "3.13")
    assert found is not None
    release, sources = found
    assert release == "trixie"
    assert [(source.uri, source.suite) for source in sources] == [
        ("http://mirror.example/debian", "trixie-security"),
        ("file:/media/debian", "trixie"),
    ]


def test_no_release_carries_every_python(tmp_path: Path):
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert sources_for(host_sources(tmp_path), "3.12") is None
    assert sources_for((), "3.11") is None


def test_ubuntus_releases_are_its_own():
    ubuntu = given_sources("deb http://archive.example/ubuntu noble main universe")
    assert sources_for(ubuntu, "3.11") is None
    found = sources_for(ubuntu, "3.12")
    assert found is not None
    assert found[0] == "noble"


def test_a_third_partys_suite_is_no_release():
    assert release_of("bookworm-security") == "bookworm"
    assert release_of("cloud-sdk-bookworm") is None
    assert release_of("bookworm-pgdg") is None
