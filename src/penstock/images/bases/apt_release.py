"""A suite's index, believed only down a chain of hashes from its signed release file."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import lzma
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import EnvironmentMismatch, IntegrityError, NotFound
from penstock.images.bases.apt_sources import AptSource, stanzas
from penstock.images.download import Downloader, Wanted

_KEYRINGS = (
    "/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d/*.gpg", "/etc/apt/trusted.gpg.d/*.asc",
    "/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)  # fmt: skip
_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    "": bytes,
}
_CLEARTEXT = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n(.*?)\r?\n-----BEGIN PGP SIGNATURE-----", re.DOTALL
)


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What a release file says: the files below it with (SHA-256, size), and how far its signature was checked."""

    source: AptSource
    fields: dict[str, str]
    files: dict[str, tuple[str, int]]
    signature: str

    def index(self, component: str, architecture: str) -> tuple[str, str, int]:
        """The path, hash and size of the smallest package index of a component. Raises EnvironmentMismatch."""
        for suffix in _UNPACK:
            path = f"{component}/binary-{architecture}/Packages{suffix}"
            if path in self.files:
                return (path, *self.files[path])
        raise EnvironmentMismatch(
            f"{self.source.uri} {self.source.suite} has no {component} packages for {architecture}.",
            fix="Name an archive that has them in the setting apt_sources, or give --base an image reference.",
        )


def read_release(source: AptSource, downloader: Downloader, *, clock: Clock = SYSTEM_CLOCK) -> Release:
    """The suite's release file, its signature checked by gpgv where that is installed.

    Raises IntegrityError for a bad signature or an outdated file, NotFound when the archive has no such suite.
    """
    base = f"{source.uri}/dists/{source.suite}"
    signed = downloader.read(f"{base}/InRelease")
    text, signature = _verified(signed, source)
    fields = next(stanzas(text), {})
    _check_age(source, fields, clock)
    lines = (line.split() for line in fields.get("SHA256", "").splitlines())
    files = {words[2]: (words[0], int(words[1])) for words in lines if len(words) == 3}
    return Release(source=source, fields=fields, files=files, signature=signature)


def read_index(release: Release, component: str, architecture: str, downloader: Downloader, cache_dir: Path) -> bytes:
    """The text of a package index, fetched by its hash and kept. Raises IntegrityError."""
    path, sha256, size_bytes = release.index(component, architecture)
    kept = cache_dir / "debian" / "indexes" / sha256
    if not kept.is_file():
        from_hash = release.fields.get("Acquire-By-Hash", "no") == "yes"
        folder = path.rpartition("/")[0]
        below = f"{folder}/by-hash/SHA256/{sha256}" if from_hash else path
        url = f"{release.source.uri}/dists/{release.source.suite}/{below}"
        downloader.ensure(Wanted(url=url, path=kept, sha256=sha256, size_bytes=size_bytes))
    packed = kept.read_bytes()
    if hashlib.sha256(packed).hexdigest() != sha256:
        kept.unlink()
        raise IntegrityError(f"The kept package index {kept} was damaged and has been removed.", fix="Try again.")
    return _UNPACK[Path(path).suffix](packed)


def _check_age(source: AptSource, fields: dict[str, str], clock: Clock) -> None:
    """A release file past its Valid-Until may be an old one replayed (apt-secure(8))."""
    until = fields.get("Valid-Until")
    if until is None or not source.check_valid_until:
        return
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    if parsedate_to_datetime(until.replace("UTC", "+0000")) < now:
        raise IntegrityError(
            f"The release file of {source.uri} {source.suite} was valid until {until}.",
            fix="Use a current mirror, or set check-valid-until=no for a snapshot that you trust.",
        )


def _verified(signed: bytes, source: AptSource) -> tuple[str, str]:
    """The signed text and a half sentence on how far it was checked."""
    match = _CLEARTEXT.search(signed.decode("utf-8", "replace"))
    if match is None:
        raise IntegrityError(f"{source.uri} {source.suite} has no signed release file.", fix="Use another mirror.")
    gpgv = shutil.which("gpgv")
    if source.trusted:
        return match[1], "not checked: the source says trusted=yes"
    if gpgv is None:
        return match[1], "not checked: gpgv is not installed"
    with tempfile.TemporaryDirectory(prefix="penstock-") as directory:
        keyrings = _keyrings(source, Path(directory))
        if not keyrings:
            return match[1], "not checked: no archive keyring is installed"
        return _gpgv(gpgv, keyrings, signed, source, Path(directory))


def _gpgv(gpgv: str, keyrings: list[Path], signed: bytes, source: AptSource, scratch: Path) -> tuple[str, str]:
    message, plain = scratch / "InRelease", scratch / "Release"
    message.write_bytes(signed)
    options = [f"--keyring={path}" for path in keyrings]
    command = [gpgv, "--status-fd=1", *options, f"--output={plain}", str(message)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    good = re.findall(r"^\[GNUPG:\] VALIDSIG (\w+)", done.stdout, re.MULTILINE)
    bad = re.search(r"^\[GNUPG:\] (BADSIG|EXPSIG|REVKEYSIG)", done.stdout, re.MULTILINE)
    if not good or bad or not plain.is_file():
        reason = bad[1] if bad else "no signature by a known key"
        raise IntegrityError(
            f"The signature of {source.uri} {source.suite} does not hold: {reason}.",
            fix="Install the archive's current keyring package, name its key with signed-by, or use another mirror.",
        )
    # Only what gpgv itself gives out was signed; text around the signed part is not in it.
    return plain.read_text(encoding="utf-8"), f"checked by gpgv, key {good[0]}"


def _keyrings(source: AptSource, scratch: Path) -> list[Path]:
    if "BEGIN PGP PUBLIC KEY BLOCK" in source.signed_by:
        return [_binary_key(source.signed_by, scratch / "given.gpg")]
    named = [Path(word) for word in re.split(r"[,\s]+", source.signed_by) if word.startswith("/")]
    absent = [path for path in named if not path.is_file()]
    if absent:
        raise NotFound(f"The keyring {absent[0]} does not exist.", fix="Install it, or correct signed-by.")
    files: Iterable[Path] = named or (path for glob in _KEYRINGS for path in sorted(Path("/").glob(glob[1:])))
    return [_readable_key(path, scratch / f"{number}.gpg") for number, path in enumerate(files)]


def _readable_key(path: Path, into: Path) -> Path:
    content = path.read_bytes()
    return _binary_key(content.decode("ascii", "replace"), into) if b"BEGIN PGP PUBLIC" in content else path


def _binary_key(armored: str, into: Path) -> Path:
    """The key of an ASCII armour (RFC 9580, 6.2) as gpgv takes it."""
    lines = [line.strip() for line in armored.splitlines() if not line.strip().startswith("-----")]
    body = [line for line in lines if line and line != "." and ":" not in line and not line.startswith("=")]
    into.write_bytes(base64.b64decode("".join(body)))
    return into
