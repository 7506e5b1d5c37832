"""Where Debian packages come from: apt's own source files on this host, or the text of a setting."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from penstock.ground.errors import InvalidInput

# Which Python each release carries; packages of one release never mix with another's.
PYTHON_OF_RELEASE = {
    "bookworm": "3.11", "trixie": "3.13", "forky": "3.14",
    "jammy": "3.10", "noble": "3.12", "resolute": "3.14",
}  # fmt: skip
_UBUNTU = {"jammy", "noble", "resolute"}
_ALIASES = {"stable", "oldstable", "testing"}
_POCKETS = ("", "-updates", "-security", "/updates")
_OPTION = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)$")


class AptSource(msgspec.Struct, frozen=True, kw_only=True):
    """One archive, suite and set of components; ``signed_by`` is key files or the text of a key."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: bool = False
    check_valid_until: bool = True


def host_sources(root: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """The binary sources that apt on this host is set up with; empty where there is no apt."""
    lists = [root / "sources.list", *sorted(root.glob("sources.list.d/*.list"))]
    found: list[AptSource] = []
    for path in lists:
        if path.is_file():
            found += parse_one_line(path.read_text(encoding="utf-8", errors="replace"))
    for path in sorted(root.glob("sources.list.d/*.sources")):
        found += parse_deb822(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(found)


def given_sources(setting: str) -> tuple[AptSource, ...]:
    """The sources of the setting ``apt_sources``: a file in either of apt's forms, or lines of the one-line form.

    Raises InvalidInput when it holds none.
    """
    single_line = "\n" not in setting.strip()
    path = Path(setting).expanduser() if single_line and not setting.lstrip().startswith("deb ") else None
    if path is not None and not path.is_file():
        raise InvalidInput(f"The apt source file {setting!r} does not exist.", fix="Correct the setting apt_sources.")
    text = path.read_text(encoding="utf-8") if path else setting
    deb822 = re.search(r"^URIs:", text, re.MULTILINE | re.IGNORECASE)
    sources = tuple(parse_deb822(text) if deb822 else parse_one_line(text))
    if not sources:
        raise InvalidInput(
            f"The setting apt_sources names no archive: {setting!r}.",
            fix="Give lines such as 'deb [signed-by=/path/key.gpg] URL SUITE main'.",
        )
    return sources


def parse_one_line(text: str) -> Iterator[AptSource]:
    """The ``deb`` lines of a one-line style file (sources.list(5)); other lines mean nothing here."""
    for line in text.splitlines():
        match = _OPTION.match(line.partition("#")[0])
        words = match["rest"].split() if match else []
        if match is None or len(words) < 2:
            continue
        options = dict(word.partition("=")[::2] for word in shlex.split(match["options"] or ""))
        yield _source(words[0], words[1], words[2:], {key.lower(): value for key, value in options.items()})


def parse_deb822(text: str) -> Iterator[AptSource]:
    """The enabled binary sources of a deb822 style file (sources.list(5))."""
    for stanza in stanzas(text):
        fields = {key.lower(): value for key, value in stanza.items()}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield _source(uri, suite, fields.get("components", "").split(), fields)


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a control file (deb822(5)): field to value, continuation lines joined by newlines."""
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t" and last:
                fields[last] += "\n" + line.strip()
            else:
                last, _, value = line.partition(":")
                fields[last] = value.strip()
        if fields:
            yield fields


def _source(uri: str, suite: str, components: Iterable[str], options: dict[str, str]) -> AptSource:
    return AptSource(
        uri=uri.rstrip("/"),
        suite=suite,
        components=tuple(components),
        signed_by=options.get("signed-by", ""),
        trusted=options.get("trusted", "") == "yes",
        check_valid_until=options.get("check-valid-until", "yes") != "no",
    )


def release_of(suite: str) -> str | None:
    """The release that a suite belongs to ("bookworm" of "bookworm-security"), None for a third party's suite."""
    for name in (*PYTHON_OF_RELEASE, *_ALIASES):
        if suite in tuple(name + pocket for pocket in _POCKETS):
            return name
    return None


def sources_for(sources: Iterable[AptSource], python: str) -> tuple[str, tuple[AptSource, ...]] | None:
    """The release that carries ``python`` and its sources at the same archives; None when they have no such release.

    Debian's releases stand side by side in one archive, so a host's sources for one give those for another:
    ("bookworm-updates" for 3.13) is ("trixie-updates").
    """
    own = [(source, release_of(source.suite)) for source in sources]
    known = [(source, release) for source, release in own if release]
    ubuntu = any(release in _UBUNTU for _, release in known)
    for release, version in PYTHON_OF_RELEASE.items():
        if known and version == python and (release in _UBUNTU) == ubuntu:
            moved = (_moved(source, old, release) for source, old in known)
            return release, tuple(dict.fromkeys(moved))
    return None


def _moved(source: AptSource, old: str, new: str) -> AptSource:
    suite = new + source.suite.removeprefix(old)
    return msgspec.structs.replace(source, suite=suite, components=("main",))


def apt_proxies() -> dict[str, str] | None:
    """apt's own proxies by scheme; None where apt has none, so that the usual proxy variables hold."""
    program = shutil.which("apt-config")
    if program is None:
        return None
    done = subprocess.run([program, "dump"], capture_output=True, text=True, check=False)
    found = re.findall(r'^Acquire::(https?)::Proxy "([^"]*)";$', done.stdout, re.MULTILINE | re.IGNORECASE)
    proxies = {scheme.lower(): url for scheme, url in found if url and url != "DIRECT"}
    if "http" in proxies:
        proxies.setdefault("https", proxies["http"])
    return proxies or None
