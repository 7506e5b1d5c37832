"""Small real wheels and Debian packages, made on the spot."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from pathlib import Path


def record_hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: dict[str, bytes] | None = None,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    entry_points: str = "",
    record: dict[str, bytes] | None = None,
    wheel_version: str = "1.0",
    licence: str = "MIT",
) -> Path:
    """A wheel at ``folder``; ``record`` overrides what RECORD says of some files."""
    content = dict(files if files is not None else {f"{name}/__init__.py": b"ANSWER = 42\n"})
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense-Expression: {licence}\n{needs}"
    content[f"{info}/METADATA"] = about.encode()
    content[f"{info}/WHEEL"] = f"Wheel-Version: {wheel_version}\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points.encode()
    stated = {**content, **(record or {})}
    rows = [f"{path},{record_hash(stated[path])},{len(stated[path])}\n" for path in content]
    content[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, data in content.items():
            member = zipfile.ZipInfo(each, (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return path


def make_sdist(folder: Path, name: str, version: str = "1.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for each, data in {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
            "pyproject.toml": b"[build-system]\nrequires=[]\nbuild-backend='x'\n",
        }.items():
            member = tarfile.TarInfo(f"{name}-{version}/{each}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def make_tar(files: dict[str, bytes | str], *, modes: dict[str, int] | None = None) -> bytes:
    """A tar; a text value is a symbolic link's target, a name that ends in '/' a directory."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode = (modes or {}).get(name, 0o755 if name.endswith("/") else 0o644)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def make_ar(members: dict[str, bytes]) -> bytes:
    made = b"!<arch>\n"
    for name, content in members.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        made += b"\n" * (len(content) % 2)
    return made


def make_deb(
    folder: Path,
    name: str,
    version: str = "1.0-1",
    *,
    files: dict[str, bytes | str] | None = None,
    depends: str = "",
    architecture: str = "amd64",
) -> tuple[Path, str]:
    """A .deb below ``folder``, and its stanza of a package index."""
    fields = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
    fields += f"Depends: {depends}\n" if depends else ""
    content = make_ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar.gz": gzip.compress(make_tar({"./control": fields.encode()}), mtime=0),
            "data.tar.xz": lzma.compress(make_tar(files or {})),
        }
    )
    path = folder / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return path, f"{fields}Filename: pool/{path.name}\nSize: {len(content)}\nSHA256: {digest}\n"
