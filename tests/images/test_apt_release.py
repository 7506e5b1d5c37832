from __future__ import annotations

from pathlib import Path

import pytest

from images.places import Archive
from penstock.ground.errors import EnvironmentMismatch, IntegrityError, NotFound
from penstock.images.bases.apt_release import read_index, read_release
from penstock.images.bases.apt_sources import AptSource
from penstock.images.download import Downloader


def read(source: AptSource):
    return read_release(source, Downloader())


def test_a_good_signature_is_said_to_be_checked(archive: Archive, tmp_path: Path):
    archive.add("a")
    archive.publish()
    release = read(archive.source())
    assert release.signature.startswith("checked by gpgv, key ")
    assert b"Package: a\n" in read_index(release, "main", "amd64", Downloader(), tmp_path)


def test_an_armored_key_in_the_source_itself_works(archive: Archive):
    archive.publish()
    armored = archive.armored_key()
    assert read(archive.source(signed_by=armored)).signature.startswith("checked")


def test_a_changed_release_file_is_refused(archive: Archive):
    archive.publish()
    signed = archive.root / "dists/bookworm/InRelease"
    signed.write_text(signed.read_text().replace("Origin: Test", "Origin: Evil"))
    with pytest.raises(IntegrityError, match="does not hold: BADSIG"):
        read(archive.source())


def test_text_outside_the_signature_is_not_believed(archive: Archive):
    archive.publish()
    signed = archive.root / "dists/bookworm/InRelease"
    signed.write_text("SHA256:\n 00 1 main/binary-amd64/Packages\n" + signed.read_text())
    try:
        files = read(archive.source()).files
    except IntegrityError:
        return
    assert "main/binary-amd64/Packages" not in files


def test_a_strangers_signature_is_refused(archive: Archive, tmp_path: Path):
    archive.publish()
    with pytest.raises(IntegrityError, match="no signature by a known key"):
        read(archive.source(signed_by="/usr/share/keyrings/debian-archive-keyring.gpg"))


def test_a_missing_keyring_is_named(archive: Archive):
    archive.publish()
    with pytest.raises(NotFound, match=r"keyring /no/such\.gpg"):
        read(archive.source(signed_by="/no/such.gpg"))


def test_an_outdated_release_file_is_refused_unless_allowed(archive: Archive):
    archive.publish(fields="Valid-Until: Sat, 01 Jan 2022 00:00:00 UTC\n")
    with pytest.raises(IntegrityError, match="was valid until"):
        read(archive.source())
    assert read(archive.source(check_valid_until=False)).files


def test_an_index_other_than_the_signed_one_is_refused(archive: Archive, tmp_path: Path):
    archive.add("a")
    archive.publish()
    release = read(archive.source())
    (archive.root / "dists/bookworm/main/binary-amd64/Packages.xz").write_bytes(b"other")
    with pytest.raises(IntegrityError, match="was promised"):
        read_index(release, "main", "amd64", Downloader(), tmp_path)


def test_an_architecture_that_is_not_there_is_named(archive: Archive, tmp_path: Path):
    archive.publish()
    with pytest.raises(EnvironmentMismatch, match="no main packages for arm64"):
        read_index(read(archive.source()), "main", "arm64", Downloader(), tmp_path)


def test_a_trusted_source_says_that_nothing_was_checked(archive: Archive):
    archive.publish()
    assert read(archive.source(trusted=True, signed_by="")).signature == "not checked: the source says trusted=yes"
