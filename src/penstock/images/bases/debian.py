"""A base image made of Debian packages in pure Python: no container engine, no dpkg, no root."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.files import ensure_directory, write_atomically
from penstock.ground.progress import SILENT, Progress
from penstock.images.bases.apt_packages import Package, PackageIndex, closure
from penstock.images.bases.apt_release import read_index, read_release
from penstock.images.bases.apt_sources import AptSource, apt_proxies, given_sources, host_sources, sources_for
from penstock.images.bases.base import Base
from penstock.images.bases.deb import read_deb
from penstock.images.bases.debian_files import root_files
from penstock.images.bytecode import Interpreter, find_interpreter, probe_interpreter
from penstock.images.download import Downloader, Wanted
from penstock.images.target import Target, host_platform
from penstock.oci.cache import BlobCache
from penstock.oci.image import empty_image
from penstock.oci.layer import LayerBlob, LayerEntry, write_layer
from penstock.oci.types import Platform, RuntimeConfig
from penstock.oci.unpack import ensure_unpacked

_LAYOUT = "debian-1"  # goes up with every change to what debian_files.py makes of the same packages
_LEFT_OUT = frozenset(
    {"debconf", "debconf-2.0", "openssl", "perl", "perl-base", "dpkg", "install-info", "awk", "mawk", "readline-common"}
)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The packages that a base is made of, and how far the indexes they came from were checked."""

    release: str
    packages: tuple[Package, ...]
    signatures: tuple[str, ...]

    def digest(self) -> str:
        """The hex SHA-256 over all packages' hashes."""
        return hashlib.sha256("\n".join(package.sha256 for package in self.packages).encode()).hexdigest()


def roots(python: str) -> tuple[str, ...]:
    """The packages that a served model needs; LightGBM and others load libgomp1 from the system."""
    return (
        f"python{python}-minimal", f"libpython{python}-stdlib", "libgomp1", "libstdc++6", "zlib1g",
        "ca-certificates", "netbase", "media-types", "tzdata", "base-files", "libc-bin",
    )  # fmt: skip


def debian_sources(apt_sources: str | None) -> tuple[AptSource, ...]:
    """The archives to use: those of the setting, else the host's own."""
    return given_sources(apt_sources) if apt_sources else host_sources()


def select(
    target: Target,
    sources: tuple[AptSource, ...],
    *,
    cache_dir: Path,
    refresh: bool = False,
    progress: Progress = SILENT,
) -> Selection:
    """The packages of the release that carries the target's Python, as the archives offer them.

    A selection is kept and used again, so that a rebuild gives the same image; ``refresh`` asks the archives anew.
    Raises EnvironmentMismatch when no source carries that Python.
    """
    release, used = _release(target, sources)
    kept = cache_dir / "debian" / "selections" / f"{_selection_key(target, used)}.json"
    if kept.is_file() and not refresh:
        return msgspec.json.decode(kept.read_bytes(), type=Selection)
    with progress.phase(f"Read Debian {release}'s package lists"):
        selection = _selected(release, used, target, cache_dir)
    write_atomically(kept, msgspec.json.encode(selection))
    return selection


def find_selection(target: Target, sources: tuple[AptSource, ...], *, cache_dir: Path) -> Selection:
    """As ``select``, asking the archives and keeping no choice."""
    release, used = _release(target, sources)
    return _selected(release, used, target, cache_dir)


def _release(target: Target, sources: tuple[AptSource, ...]) -> tuple[str, tuple[AptSource, ...]]:
    found = sources_for(sources, target.python)
    if found is None:
        raise EnvironmentMismatch(
            f"No Debian release of the configured apt sources carries Python {target.python}.",
            fix="Give --base an image reference with that Python, or make the model with Python 3.11 or 3.13.",
        )
    return found


def _selection_key(target: Target, sources: tuple[AptSource, ...]) -> str:
    text = msgspec.json.encode((target, sources, sorted(_LEFT_OUT), roots(target.python)))
    return hashlib.sha256(text).hexdigest()


def _selected(release: str, sources: tuple[AptSource, ...], target: Target, cache_dir: Path) -> Selection:
    downloader = Downloader(proxies=apt_proxies())
    index, signatures = PackageIndex(), []
    try:
        for source in sources:
            signed = read_release(source, downloader)
            signatures.append(f"{source.suite}: signature {signed.signature}")
            index.add(source.uri, read_index(signed, "main", target.architecture, downloader, cache_dir))
    finally:
        downloader.close()
    packages = closure(index, roots(target.python), without=_LEFT_OUT)
    return Selection(release=release, packages=packages, signatures=tuple(dict.fromkeys(signatures)))


def ensure_debian_base(
    target: Target, selection: Selection, *, cache_dir: Path, blobs: BlobCache, progress: Progress = SILENT
) -> Base:
    """The base image of ``selection``: one layer, the same bytes whenever the packages are the same.

    Its own Python compiles its standard library wherever that Python runs, so that the host's version does not matter.
    """
    interpreter = _own_interpreter(target, selection, cache_dir, blobs, progress) or find_interpreter(target.python)
    layer = _layer(target, selection, interpreter, cache_dir, blobs, progress)
    platform = Platform("linux", target.architecture)
    name = f"debian:{selection.release}, {len(selection.packages)} packages"
    image = empty_image(platform).append([layer], notes=[f"base: {name}"])
    image = image.configured(RuntimeConfig(env=("PATH=/usr/bin:/bin", "LANG=C.UTF-8")))
    return Base(
        image=image,
        target=target,
        python_path=f"/usr/bin/python{target.python}",
        name=f"debian:{selection.release}",
        digest=f"sha256:{selection.digest()}",
        interpreter=interpreter,
        packages=selection.packages,
        remarks=tuple(text for text in selection.signatures if "not checked" in text),
    )


def _own_interpreter(
    target: Target, selection: Selection, cache_dir: Path, blobs: BlobCache, progress: Progress
) -> Interpreter | None:
    """The selection's own Python, unpacked and started by its own dynamic linker; None where it does not run."""
    if sys.platform != "linux" or target.platform != host_platform():
        return None
    root = cache_dir / "debian" / "roots" / selection.digest()[:32]
    if not root.is_dir():
        ensure_unpacked(
            _layer(target, selection, None, cache_dir, blobs, progress), ensure_directory(root.parent) / root.name
        )
    linker = next(root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"), None)
    if linker is None:
        return None
    python = root / "usr/bin" / f"python{target.python}"
    return probe_interpreter((str(linker), "--library-path", str(linker.parent), str(python)))


def _layer(
    target: Target,
    selection: Selection,
    interpreter: Interpreter | None,
    cache_dir: Path,
    blobs: BlobCache,
    progress: Progress,
) -> LayerBlob:
    key = f"{_LAYOUT} {selection.digest()} {interpreter.version if interpreter else 'no bytecode'}"
    entries = _entries(target, selection, interpreter, cache_dir, progress)
    return write_layer(entries, blobs, key=key)


def _entries(
    target: Target, selection: Selection, interpreter: Interpreter | None, cache_dir: Path, progress: Progress
) -> Iterator[LayerEntry]:
    paths = _fetch(selection, cache_dir, progress)
    with progress.phase(f"Assemble Debian {selection.release}"), ThreadPoolExecutor(2) as pool:
        yield from root_files(pool.map(read_deb, paths), target.python, interpreter)


def _fetch(selection: Selection, cache_dir: Path, progress: Progress) -> list[Path]:
    folder = cache_dir / "debian" / "packages"
    wanted = [
        Wanted(
            url=package.url, path=folder / f"{package.sha256}.deb", sha256=package.sha256, size_bytes=package.size_bytes
        )
        for package in selection.packages
    ]
    downloader = Downloader(proxies=apt_proxies())
    try:
        with progress.phase("Fetch Debian packages") as phase:
            return downloader.ensure_all(wanted, phase)
    finally:
        downloader.close()
