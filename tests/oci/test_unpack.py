"""Unpacking: what honest layers hold arrives, whiteouts hide, and nothing hostile lands outside or gets made."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from oci.images import make_image
from penstock.ground.errors import IntegrityError, InvalidInput, NotImplementedHere, TooLarge
from penstock.oci.cache import BlobCache
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.tree import Whiteouts
from penstock.oci.unpack import Limits, Unpacked, ensure_unpacked, unpack_image, unpack_layer

Entry = tuple[str, bytes | None, dict[str, object]]


def file(name: str, content: bytes = b"x", **more: object) -> Entry:
    return (name, content, more)


def folder(name: str, **more: object) -> Entry:
    return (name, None, {"type": tarfile.DIRTYPE, "mode": 0o755, **more})


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    return (name, None, {"type": kind, "linkname": target})


def tarred(entries: Iterable[Entry], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content, more in entries:
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            info.size = len(content or b"")
            for key, value in more.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def unpack(tar: bytes, directory: Path, *, whiteouts: Whiteouts = "merge", limits: Limits | None = None) -> Unpacked:
    diff_id = f"sha256:{sha256(tar).hexdigest()}"
    blob = io.BytesIO(gzip.compress(tar, 1))
    return unpack_layer(blob, directory, expected_diff_id=diff_id, whiteouts=whiteouts, limits=limits)


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def test_our_own_image_comes_out_whole(tmp_path: Path) -> None:
    unpack_image(make_image(tmp_path / "cache"), tmp_path / "out")
    assert (tmp_path / "out/opt/ml/model/MLmodel").read_bytes() == b"model"
    assert (tmp_path / "out/base").read_bytes() == b"base" * 100_000
    assert (tmp_path / "out/base").stat().st_mtime == 315532800


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_formats_of_other_writers_are_read(tmp_path: Path, format: int) -> None:
    long = "d" * 60 + "/" + "e" * 60 + "/" + "f" * 80 if format != tarfile.USTAR_FORMAT else "d" * 60 + "/" + "f" * 60
    entries = [
        folder("./"), folder("./bin", mode=0o1777), file("./bin/sh", b"#!" * 3000, mode=0o4755, mtime=1_000_000_000),
        link("sh", "bin/sh"), link("hard", "./bin/sh", tarfile.LNKTYPE), file(long, b"long"), link("abs", "/bin/sh"),
    ]  # fmt: skip
    found = unpack(tarred(entries, format), tmp_path)
    assert found.entries == len(entries)
    assert (tmp_path / "sh").read_bytes() == (tmp_path / "hard").read_bytes() == b"#!" * 3000
    assert (tmp_path / "bin/sh").stat().st_nlink == 2
    assert stat.S_IMODE((tmp_path / "bin/sh").stat().st_mode) == 0o755  # set-uid is dropped
    assert stat.S_IMODE((tmp_path / "bin").stat().st_mode) == 0o1777
    assert (tmp_path / "bin/sh").stat().st_mtime == 1_000_000_000
    assert (tmp_path / long).read_bytes() == b"long"
    assert (tmp_path / "abs").readlink() == Path("/bin/sh")


def test_a_debian_tar_reads_like_gnu_tar_reads_it(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    source = tmp_path / "source"
    (source / "deep/er").mkdir(parents=True)
    (source / "deep/er/ä ü").write_bytes(os.urandom(2_000_000))
    (source / "empty").touch()
    (source / "deep/link").symlink_to("../empty")
    for format in ("gnu", "pax", "ustar", "v7"):
        tar = subprocess.run(
            [tool("tar"), "-C", source, f"--format={format}", "-c", "."], capture_output=True, check=True
        )
        unpack(tar.stdout, tmp_path / format)
        assert names(tmp_path / format) == names(source)
        assert (tmp_path / format / "deep/er/ä ü").read_bytes() == (source / "deep/er/ä ü").read_bytes()


HOSTILE = {
    "a name that climbs": [file("../evil")],
    "a name that climbs later": [file("a/../../evil")],
    "a directory that climbs": [folder("a/../../evil")],
    "a link that climbs, written through": [link("a", "../.."), file("a/evil")],
    "an absolute link, written through": [link("a", "/"), file("a/evil")],
    "a chain of links, written through": [link("a", ".."), link("b", "a/.."), file("b/evil")],
    "a link where a file is written": [link("evil", "/evil"), file("evil")],
    "an absolute name": [file("/evil")],
    "links that loop": [link("a", "b"), link("b", "a"), file("a/evil")],
    "a link to itself": [link("a", "a"), file("a/evil")],
    "a hard link that climbs": [link("evil", "../../../etc/passwd", tarfile.LNKTYPE)],
    "a hard link to an absolute name": [link("evil", "/etc/passwd", tarfile.LNKTYPE)],
    "a hard link through a link": [link("a", "/etc"), link("evil", "a/passwd", tarfile.LNKTYPE)],
    "a hard link to a directory": [folder("d"), link("evil", "d", tarfile.LNKTYPE)],
    "a hard link to nothing": [link("evil", "gone", tarfile.LNKTYPE)],
    "a hard link to a symlink outside, written through": [
        link("a", "/evil"), link("b", "a", tarfile.LNKTYPE), file("b", b"evil"),
    ],
    "an entry below a file": [file("a"), file("a/b")],
    "a whiteout of the parent": [file(".wh...")],
    "a whiteout of itself": [file("a/.wh..")],
    "a whiteout through a link": [link("a", "/"), file("a/.wh.evil")],
    "an opaque mark through a link": [link("a", "../.."), file("a/.wh..wh..opq")],
    "a device": [("dev/sda", None, {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0})],
    "a character device": [("dev/mem", None, {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 1})],
    "an unknown kind": [("a", None, {"type": b"V"})],
    "a name too long": [file("x" * 300)],
    "a path too deep": [file("x/" * 3000 + "x")],
    "a path too deep by links": [
        folder("x/" * 150 + "x"), link("l", "x/" * 150 + "x"), folder("l/" + "x/" * 100), file("l/" + "x/" * 100 + "y"),
    ],
    "no name at all": [file("")],
    "an owner beyond all numbers": [file("a", uid=2**40)],
    "a time beyond all calendars": [file("a", mtime=2**60)],
}  # fmt: skip


@pytest.mark.parametrize("whiteouts", ["merge", "overlay"])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_lands_outside(tmp_path: Path, name: str, whiteouts: Whiteouts) -> None:
    """It is refused, or it lands inside; around the directory nothing changes, and no device appears."""
    inner = tmp_path / "jail" / "root"
    inner.mkdir(parents=True)
    (tmp_path / "evil").write_text("kept")
    (tmp_path / "jail" / "evil").write_text("kept")
    with suppress(InvalidInput):
        unpack(tarred(HOSTILE[name]), inner, whiteouts=whiteouts)
    outside = [path for path in names(tmp_path) if not path.startswith("jail/root")]
    assert outside == ["evil", "jail", "jail/evil"]
    assert (tmp_path / "evil").read_text() == (tmp_path / "jail" / "evil").read_text() == "kept"
    assert not Path("/evil").exists()
    for path in inner.rglob("*"):
        mode = path.lstat()
        assert not stat.S_ISBLK(mode.st_mode)
        assert not (stat.S_ISCHR(mode.st_mode) and mode.st_rdev)
        assert not (stat.S_ISREG(mode.st_mode) and mode.st_ino == Path("/etc/passwd").stat().st_ino)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (HOSTILE["a name that climbs"], "leads outside"),
        (HOSTILE["links that loop"], "Links loop"),
        (HOSTILE["a hard link that climbs"], "leads outside"),
        (HOSTILE["a hard link to an absolute name"], "does not hold"),
        (HOSTILE["an entry below a file"], "a file"),
        (HOSTILE["a whiteout of the parent"], "leads outside"),
    ],
)
def test_refusals_say_why(tmp_path: Path, entries: list[Entry], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        unpack(tarred(entries), tmp_path)


def test_links_lead_where_a_container_would_see_them_lead(tmp_path: Path) -> None:
    unpack(
        tarred([folder("usr/lib"), link("lib", "/usr/lib"), link("up", "../../../usr"), file("lib/a"), file("up/b")]),
        tmp_path,
    )
    assert (tmp_path / "usr/lib/a").exists()
    assert (tmp_path / "usr/b").exists()


def test_devices_are_counted_and_left_out(tmp_path: Path) -> None:
    assert unpack(tarred([*HOSTILE["a device"], *HOSTILE["a character device"]]), tmp_path).devices == 2
    assert names(tmp_path) == ["dev"]


def test_merged_whiteouts_hide_what_lower_layers_have(tmp_path: Path) -> None:
    unpack(tarred([file("a/one"), file("a/two"), file("b/one"), file("c"), folder("d"), file("d/x")]), tmp_path)
    upper = [
        file("a/.wh.one"), file("b/.wh..wh..opq"), file("b/new"), file(".wh.c"), file(".wh.never"), file(".wh.d"),
        folder("d"), file("d/y"), file(".wh..wh.plnk"), file("a/.wh..wh.aufs"),
    ]  # fmt: skip
    unpack(tarred(upper), tmp_path)
    assert names(tmp_path) == ["a", "a/two", "b", "b/new", "d", "d/y"]


def test_an_opaque_mark_that_comes_late_spares_its_own_layer(tmp_path: Path) -> None:
    unpack(tarred([file("b/old"), folder("b/sub"), file("b/sub/old")]), tmp_path)
    unpack(tarred([file("b/new"), file("b/.wh..wh..opq"), file("b/.wh.new")]), tmp_path)
    assert names(tmp_path) == ["b", "b/new"]


def test_a_directory_gives_way_to_a_link_and_back(tmp_path: Path) -> None:
    unpack(tarred([file("lib/a"), folder("usr/lib")]), tmp_path)
    unpack(tarred([file("lib/b"), link("lib", "usr/lib"), file("lib/c")]), tmp_path)
    assert (tmp_path / "lib").is_symlink()
    assert names(tmp_path) == ["lib", "usr", "usr/lib", "usr/lib/c"]
    unpack(tarred([file("lib/x"), folder("lib"), file("lib/d")]), tmp_path)
    assert names(tmp_path) == ["lib", "lib/d", "usr", "usr/lib", "usr/lib/c", "usr/lib/x"]


LOWER = [file("a/one"), file("a/two"), file("b/one"), file("c"), folder("d"), file("d/x"), folder("e"), file("e/x")]
UPPER = [
    file("a/.wh.one"), file("b/.wh..wh..opq"), file("b/new"), file(".wh.c"), file(".wh.d"), folder("d"), file("d/y"),
    file(".wh.e"), file("e/implied"),
]  # fmt: skip
MERGED = ["a", "a/two", "b", "b/new", "d", "d/y", "e", "e/implied"]


def overlaid(lower: Path, upper: Path, unshare: Path, *, options: str) -> list[str]:
    """What an overlay mount of the two shows, seen from a mount namespace of its own."""
    script = f'mount -t overlay o -o "lowerdir={upper}:{lower}{options}" "$1" && cd "$1" && find . -mindepth 1 | sort'
    mountpoint = upper.parent / "mountpoint"
    mountpoint.mkdir(exist_ok=True)
    flags = ["--user", "--map-root-user"] if "userxattr" in options else []
    done = subprocess.run(
        [unshare, *flags, "--mount", "sh", "-c", script, "sh", mountpoint], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"this kernel does not mount overlays here: {done.stderr.decode().strip()}")
    return [line[2:] for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize("options", ["", ",userxattr"])
def test_overlay_whiteouts_hide_in_a_real_overlay_mount(
    tmp_path: Path, tool: Callable[[str], Path], options: str
) -> None:
    if not options and os.geteuid() != 0:
        pytest.skip("root's own overlay mounts need root")
    for name, entries in (("lower", LOWER), ("upper", UPPER)):
        unpack(tarred(entries), tmp_path / name, whiteouts="overlay")
    assert overlaid(tmp_path / "lower", tmp_path / "upper", tool("unshare"), options=options) == MERGED


def test_the_merged_form_shows_the_same(tmp_path: Path) -> None:
    for entries in (LOWER, UPPER):
        unpack(tarred(entries), tmp_path)
    assert names(tmp_path) == MERGED


def test_bombs_are_stopped(tmp_path: Path) -> None:
    zeros = tarred([file("zeros", bytes(3_000_000))])
    with pytest.raises(TooLarge, match="more than 1000000 bytes"):
        unpack(zeros, tmp_path / "a", limits=Limits(size_bytes=1_000_000))
    assert sum(path.stat().st_size for path in (tmp_path / "a").rglob("*")) <= 2_000_000
    with pytest.raises(TooLarge, match="more than 10 entries"):
        unpack(tarred([file(str(number)) for number in range(11)]), tmp_path / "b", limits=Limits(entries=10))
    trailing = tarred([file("a")]) + bytes(3_000_000)
    with pytest.raises(TooLarge):
        unpack(trailing, tmp_path / "c", limits=Limits(size_bytes=1_000_000))


def test_a_huge_extended_header_is_refused_unread(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(IntegrityError, match="too large to be honest"):
        unpack(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000), tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 100, 511, 513, 1024, 1500, 4000])
def test_damage_is_told_as_damage(tmp_path: Path, cut: int) -> None:
    tar = tarred([file("a", os.urandom(3000)), file("b", os.urandom(3000))])
    whole = gzip.compress(tar)
    diff_id = f"sha256:{sha256(tar).hexdigest()}"
    for blob in (whole[:cut], whole[:cut] + b"\0garbage" + whole[cut + 8 :], gzip.compress(tar[:cut])):
        with pytest.raises(IntegrityError):
            unpack_layer(io.BytesIO(blob), tmp_path / str(len(blob)), expected_diff_id=diff_id)


@pytest.mark.parametrize("position", [0, 100, 124, 136, 148, 156, 257, 345])
def test_a_flipped_byte_never_passes(tmp_path: Path, position: int) -> None:
    tar = bytearray(tarred([file("a", b"1")]))
    diff_id = f"sha256:{sha256(tar).hexdigest()}"
    tar[position] ^= 0x55
    with pytest.raises((IntegrityError, InvalidInput)):
        unpack_layer(io.BytesIO(gzip.compress(bytes(tar))), tmp_path, expected_diff_id=diff_id)


def test_sparse_files_and_zstd_are_refused_clearly(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedHere, match="sparse"):
        unpack(tarred([("a", b"", {"type": tarfile.GNUTYPE_SPARSE})]), tmp_path)
    with pytest.raises(NotImplementedHere, match="zstd"):
        unpack_layer(io.BytesIO(b"("), tmp_path, expected_diff_id="", compression="zstd")


def test_ensure_unpacked_is_whole_or_absent_and_once(tmp_path: Path) -> None:
    layer = write_layer([LayerEntry(name="a/b", content=b"1")], BlobCache(tmp_path / "cache"))
    place = tmp_path / "layers" / "one"
    (tmp_path / "layers" / ".one.partial").mkdir(parents=True)
    (tmp_path / "layers" / ".one.partial" / "left over").touch()
    assert names(ensure_unpacked(layer, place)) == ["a", "a/b"]
    (place / "mark").touch()
    assert "mark" in names(ensure_unpacked(layer, place))
    layer.path.write_bytes(gzip.compress(tarred([file("other")])))
    with pytest.raises(IntegrityError, match="was promised"):
        ensure_unpacked(layer, tmp_path / "layers" / "two")
    assert [path.name for path in (tmp_path / "layers").iterdir() if path.is_dir()] == ["one"]


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A directory of an ordinary user, who is who we are while the test runs."""
    if os.geteuid() != 0:
        with TemporaryDirectory() as directory:
            yield Path(directory)
        return
    with TemporaryDirectory() as directory:
        os.chown(directory, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(directory)
        finally:
            os.seteuid(0)


def test_an_ordinary_user_unpacks_owned_and_read_only_things(nobody: Path) -> None:
    entries = [
        folder("ro", mode=0o555), file("ro/a", mode=0o400, uid=0, gid=42), file("ro/sub/b", mode=0, uid=1000),
        folder("closed", mode=0), file("closed/c"),
    ]  # fmt: skip
    unpack(tarred(entries), nobody / "out")
    unpack(tarred([file("ro/new"), file("ro/.wh.a"), file("closed/.wh..wh..opq")]), nobody / "out")
    assert names(nobody / "out") == ["closed", "ro", "ro/new", "ro/sub", "ro/sub/b"]
    assert (nobody / "out/ro/sub/b").read_bytes() == b"x"
    assert (nobody / "out/ro/sub/b").stat().st_uid == os.geteuid()


def test_an_ordinary_user_makes_lowerdirs(nobody: Path) -> None:
    for name, entries in (("lower", LOWER), ("upper", UPPER)):
        unpack(tarred(entries), nobody / name, whiteouts="overlay")
    assert stat.S_ISCHR((nobody / "upper/c").stat().st_mode)
    assert os.getxattr(nobody / "upper/b", "user.overlay.opaque") == b"y"
