"""Random tars, references and damage: what we write others read, what others write we read, nonsense is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.ground.errors import InvalidInput, PenstockError
from penstock.oci import tar
from penstock.oci.cache import BlobCache
from penstock.oci.digests import digest_of
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.reference import Reference
from penstock.oci.tar_reader import TarReader
from penstock.oci.types import decode_config, decode_manifest
from penstock.oci.unpack import Limits, unpack_layer

PART = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=120)
NAME = st.lists(PART.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4).map("/".join)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(st.dictionaries(NAME, st.binary(max_size=3000), max_size=6), PART)
def test_the_standard_library_reads_what_we_write(files: dict[str, bytes], link: str) -> None:
    entries = [LayerEntry(name=name, content=content) for name, content in files.items()]
    pointing = LayerEntry(name="\x01link", kind="symlink", link_target=link)
    with TemporaryDirectory() as directory:
        try:
            layer = write_layer([*entries, pointing], BlobCache(Path(directory)))
        except InvalidInput:  # a file that is also a directory of another, or a '.wh.' name
            return
        with tarfile.open(layer.path, errorlevel=2) as archive:
            read = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
            assert {name: stream.read() for name, stream in read.items() if stream} == files
            assert archive.getmember("\x01link").linkname == link


@FEW
@given(
    st.lists(st.tuples(NAME, st.binary(max_size=2000), st.integers(0, 0o7777), st.floats(0, 2**33)), max_size=6),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_we_read_what_the_standard_library_writes(files: list[tuple[str, bytes, int, float]], format: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content, mode, mtime in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), mode, mtime if format == tarfile.PAX_FORMAT else int(mtime)
            archive.addfile(info, io.BytesIO(content))
    buffer.seek(0)
    reader = TarReader(buffer)
    found = [(member.name, b"".join(reader.chunks()), member.mode, member.mtime) for member in reader]
    assert found == [(name, content, mode, int(mtime)) for name, content, mode, mtime in files]


def sample() -> bytes:
    """A tar with one of everything."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, link in (
            ("d", tarfile.DIRTYPE, ""), ("d/" + "ä" * 60, tarfile.REGTYPE, ""), ("l", tarfile.SYMTYPE, "d"),
            ("l/x", tarfile.REGTYPE, ""), ("h", tarfile.LNKTYPE, "l/x"), ("d/.wh.y", tarfile.REGTYPE, ""),
            ("d/.wh..wh..opq", tarfile.REGTYPE, ""), ("n" * 200, tarfile.REGTYPE, ""), ("f", tarfile.FIFOTYPE, ""),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = 700 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"x" * 700))
    return buffer.getvalue()


SAMPLE = sample()


def checksummed(content: bytearray) -> bytes:
    """The tar with every header's checksum made right again, so that damage gets past the first gate."""
    for start in range(0, len(content) - 511, 512):
        if content[start + 257 : start + 262] == b"ustar":
            content[start + 148 : start + 156] = b" " * 8
            content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
    return bytes(content)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=12)), max_size=4))
def test_damaged_tars_are_unpacked_inside_or_refused(damage: list[tuple[int, bytes]]) -> None:
    content = bytearray(SAMPLE)
    for start, piece in damage:
        content[start : start + len(piece)] = piece
    broken = checksummed(content)
    with TemporaryDirectory() as directory:
        inner = Path(directory) / "a" / "b" / "c"
        blob = io.BytesIO(gzip.compress(broken, 1))
        with suppress(PenstockError):
            unpack_layer(
                blob, inner, expected_diff_id=digest_of(broken), whiteouts="merge", limits=Limits(size_bytes=1 << 20)
            )
        assert [path.name for path in Path(directory).iterdir()] == ["a"]
        assert [path.name for path in (Path(directory) / "a").iterdir()] == ["b"]
        assert [path.name for path in (Path(directory) / "a" / "b").iterdir()] == ["c"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[a-z.:/@0-9_-]{1,60}", fullmatch=True))
def test_references_are_refused_or_print_as_they_parse(text: str) -> None:
    with suppress(InvalidInput):
        reference = Reference.parse(text)
        assert Reference.parse(str(reference)) == reference


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.from_regex(rb'\{"(config|layers|manifests|mediaType|rootfs)":[\[\]{}0-9"a-z,:]{0,40}\}')
)
def test_documents_that_are_none_are_refused(content: bytes) -> None:
    for decode in (decode_manifest, decode_config):
        with suppress(InvalidInput):
            decode(content)


@FEW
@given(NAME, st.integers(0, 2**40), st.integers(0, 0o7777))
def test_headers_of_any_size_are_whole_records(name: str, size_bytes: int, mode: int) -> None:
    block = tar.header(name, kind=tar.FILE, mode=mode, size_bytes=size_bytes)
    assert len(block) % tar.RECORD_BYTES == 0
    info = tarfile.TarFile.open(fileobj=io.BytesIO(block + tar.END), mode="r:", ignore_zeros=False).next()
    assert info is not None
    assert (info.name, info.size, info.mode) == (name, size_bytes, mode)
