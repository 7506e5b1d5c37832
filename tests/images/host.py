"""An interpreter that says it runs on another system, as uv would find it there."""

from __future__ import annotations

import sys
from pathlib import Path

_SAYS = """\
#!{python}
import os, platform, sys, sysconfig
code = sys.argv[sys.argv.index("-c") + 1]
sys.argv = ["-c", *sys.argv[sys.argv.index("-c") + 2:]]
sysconfig.get_config_vars()
real_path, real_paths = sysconfig.get_path, sysconfig.get_paths
sysconfig.get_path = lambda name, *_, **__: real_path(name, "posix_prefix")
sysconfig.get_paths = lambda *_, **__: real_paths("posix_prefix")
sys.platform, os.name = {platform!r}, {name!r}
platform.system = lambda: {system!r}
platform.machine = lambda: {machine!r}
platform.mac_ver = lambda *_: ("14.0", ("", "", ""), {machine!r})
sysconfig.get_platform = lambda: {tag!r}
exec(code)
"""
HOSTS = {
    "macOS": {"platform": "darwin", "name": "posix", "system": "Darwin", "machine": "arm64",
              "tag": "macosx-14.0-arm64"},
    "Windows": {"platform": "win32", "name": "nt", "system": "Windows", "machine": "AMD64", "tag": "win-amd64"},
}  # fmt: skip


def interpreter_of(host: str, folder: Path) -> Path:
    """A program at ``folder`` that is Python to uv, on "macOS" or "Windows"."""
    path = folder / "python3"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_SAYS.format(python=sys.executable, **HOSTS[host]))
    path.chmod(0o755)
    return path
