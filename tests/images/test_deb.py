from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from images.making import make_ar, make_deb, make_tar
from penstock.ground.errors import IntegrityError
from penstock.images.bases.deb import read_deb
from penstock.images.bases.debian_files import root_files

FILES: dict[str, bytes | str] = {
    "./": b"",
    "./lib/x86_64-linux-gnu/": b"",
    "./lib/x86_64-linux-gnu/libz.so.1.2": b"elf",
    "./lib/x86_64-linux-gnu/libz.so.1": "libz.so.1.2",
    "./usr/share/doc/zlib1g/copyright": b"zlib licence",
    "./usr/share/doc/zlib1g/changelog.gz": b"noise",
    "./usr/share/man/man3/zlib.3.gz": b"noise",
    "./bin/sh": b"shell",
    "./usr/bin/perl": b"perl",
    "./usr/share/ca-certificates/mozilla/b.crt": b"B\n",
    "./usr/share/ca-certificates/mozilla/a.crt": b"A\n",
}


def test_files_links_and_folders_come_out(tmp_path: Path):
    path, _ = make_deb(tmp_path, "zlib1g", files=FILES)
    deb = read_deb(path)
    found = {entry.name: entry for entry in deb.entries}
    assert found["lib/x86_64-linux-gnu/libz.so.1"].link_target == "libz.so.1.2"
    assert found["lib/x86_64-linux-gnu/libz.so.1.2"].content == b"elf"
    assert "Package: zlib1g" in deb.control


def test_ubuntus_zstd_is_read(tmp_path: Path):
    path = tmp_path / "a.deb"
    data = zstandard.compress(make_tar({"./usr/a": b"A"}))
    control = gzip.compress(make_tar({"./control": b"Package: a\n"}))
    path.write_bytes(make_ar({"debian-binary": b"2.0\n", "control.tar.gz": control, "data.tar.zst": data}))
    assert [entry.name for entry in read_deb(path).entries] == ["usr/a"]


@pytest.mark.parametrize("left", [0, 7, 60, 100, 300, -20])
def test_a_cut_package_is_refused(tmp_path: Path, left: int):
    path, _ = make_deb(tmp_path, "a", files={"./usr/a": bytes(range(256)) * 50})
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(IntegrityError, match="not a readable Debian package"):
        read_deb(path)


def test_the_root_has_no_shell_no_noise_and_a_merged_usr(tmp_path: Path):
    path, _ = make_deb(tmp_path, "zlib1g", files=FILES)
    root = {entry.name: entry for entry in root_files([read_deb(path)], "3.11", None)}
    assert root["lib"].link_target == "usr/lib"
    assert root["usr/lib/x86_64-linux-gnu/libz.so.1.2"].content == b"elf"
    assert root["usr/share/doc/zlib1g/copyright"].content == b"zlib licence"
    assert root["etc/ssl/certs/ca-certificates.crt"].content == b"A\nB\n"
    assert root["tmp"].mode == 0o1777
    assert root["usr/bin/python3"].link_target == "python3.11"
    assert b"Package: zlib1g" in root["var/lib/dpkg/status.d/zlib1g"].content  # type: ignore[operator]
    gone = ["usr/bin/sh", "bin/sh", "usr/bin/perl", "usr/share/man/man3/zlib.3.gz", "usr/share/doc/zlib1g/changelog.gz"]
    assert not root.keys() & set(gone)
