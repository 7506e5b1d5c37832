from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from images.making import make_wheel
from penstock.ground.errors import IntegrityError
from penstock.images.target import build_target
from penstock.images.wheels.place import wheel_entries
from penstock.images.wheels.wheel import open_wheel
from penstock.oci.layer import LayerEntry

TARGET = build_target("3.11")
SITE = "opt/venv/lib/python3.11/site-packages"


def placed(path: Path, scratch: Path) -> dict[str, LayerEntry]:
    with open_wheel(path) as wheel:
        return {
            entry.name: LayerEntry(name=entry.name, mode=entry.mode, content=content_of(entry))
            for entry in wheel_entries(wheel, TARGET, interpreter=None, scratch=scratch)
        }


def content_of(entry: LayerEntry) -> bytes:
    if isinstance(entry.content, bytes | Path):
        assert isinstance(entry.content, bytes)
        return entry.content
    with entry.content() as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


def test_every_kind_of_file_gets_its_place(tmp_path: Path):
    wheel = make_wheel(
        tmp_path,
        "pack",
        files={
            "pack/a.py": b"A = 1\n",
            "pack-1.0.data/purelib/pure.py": b"P = 1\n",
            "pack-1.0.data/scripts/run": b"#!python\nprint(1)\n",
            "pack-1.0.data/scripts/tool.sh": b"#!/bin/sh\n",
            "pack-1.0.data/data/share/x": b"data",
            "pack-1.0.data/headers/x.h": b"int x;",
        },
        entry_points="[console_scripts]\npack = pack.a:Main.run [extra]\n",
    )
    made = placed(wheel, tmp_path)
    assert made[f"{SITE}/pack/a.py"].content == b"A = 1\n"
    assert made[f"{SITE}/pure.py"].content == b"P = 1\n"
    assert made["opt/venv/bin/run"] == LayerEntry(
        name="opt/venv/bin/run", mode=0o755, content=b"#!/opt/venv/bin/python\nprint(1)\n"
    )
    assert made["opt/venv/bin/tool.sh"].content == b"#!/bin/sh\n"
    assert made["opt/venv/share/x"].content == b"data"
    assert made["opt/venv/include/site/python3.11/pack/x.h"].content == b"int x;"
    command = made["opt/venv/bin/pack"].content
    assert isinstance(command, bytes)
    assert b"from pack.a import Main\nsys.exit(Main.run())" in command


def test_the_installed_record_lists_what_was_laid_out(tmp_path: Path):
    made = placed(make_wheel(tmp_path, "pack", entry_points="[console_scripts]\np = pack:run\n"), tmp_path)
    record = made[f"{SITE}/pack-1.0.dist-info/RECORD"].content
    assert isinstance(record, bytes)
    listed = {line.split(",")[0] for line in record.decode().splitlines()}
    relative = {name.removeprefix(f"{SITE}/") for name in made if name.startswith(SITE)}
    assert listed == relative | {"../../../bin/p"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"files": {"../evil.py": b""}}, "leads outside"),
        ({"files": {"/evil.py": b""}}, "leads outside"),
        ({"wheel_version": "2.0"}, "its format is 2.0"),
        ({"files": {"pack-1.0.data/nowhere/x": b""}}, "no place"),
    ],
)
def test_a_hostile_or_unknown_wheel_is_refused(tmp_path: Path, options: dict, complaint: str):
    with pytest.raises(IntegrityError, match=complaint):
        placed(make_wheel(tmp_path, "pack", **options), tmp_path)


def test_a_record_that_lies_is_found_out_while_reading(tmp_path: Path):
    wheel = make_wheel(tmp_path, "pack", record={"pack/__init__.py": b"something else"})
    with pytest.raises(IntegrityError, match=r"pack/__init__\.py is not the file that RECORD promises"):
        placed(wheel, tmp_path)


def rewritten(path: Path, *, add: dict[str, bytes] | None = None, without: str = "") -> Path:
    other = path.with_name(f"other-{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            if name != without:
                target.writestr(name, source.read(name))
        for name, content in (add or {}).items():
            target.writestr(name, content)
    return other


def test_a_file_that_record_does_not_know_is_refused(tmp_path: Path):
    wheel = rewritten(make_wheel(tmp_path, "pack"), add={"pack/stowaway.py": b""})
    with pytest.raises(IntegrityError, match=r"gives no hash for pack/stowaway\.py"):
        placed(wheel, tmp_path)


def test_a_file_that_record_promises_must_be_there(tmp_path: Path):
    wheel = rewritten(make_wheel(tmp_path, "pack"), without="pack/__init__.py")
    with pytest.raises(IntegrityError, match=r"promises pack/__init__\.py"):
        placed(wheel, tmp_path)


@pytest.mark.parametrize("left", [0, 100, -40, -1])
def test_a_cut_wheel_is_refused(tmp_path: Path, left: int):
    wheel = make_wheel(tmp_path, "pack")
    wheel.write_bytes(wheel.read_bytes()[:left])
    with pytest.raises(IntegrityError, match="is broken"):
        placed(wheel, tmp_path)


def test_a_flipped_byte_inside_is_refused(tmp_path: Path):
    wheel = make_wheel(tmp_path, "pack", files={"pack/__init__.py": bytes(range(256)) * 40})
    content = bytearray(wheel.read_bytes())
    content[80] ^= 0xFF
    wheel.write_bytes(content)
    with pytest.raises(IntegrityError):
        placed(wheel, tmp_path)
