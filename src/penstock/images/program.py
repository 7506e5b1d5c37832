"""The serving program as layer entries: ground, models and serving, and nothing else of Penstock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from penstock import ground
from penstock.ground.version import __version__
from penstock.images.bytecode import Interpreter, Slice, compile_ahead, pyc_name
from penstock.images.target import Target
from penstock.images.wheels.place import VENV
from penstock.oci.layer import LayerEntry

# What the serving closure imports. Looser than Penstock's own floor for numpy: a model's pin decides.
REQUIREMENTS = ("msgspec>=0.19", "pyyaml>=6.0.1", "numpy>=1.23", "httptools>=0.6.4", "uvloop>=0.21")
ENTRYPOINT = (f"/{VENV}/bin/python", "-m", "penstock.serving")
COMMAND = ("serve",)

_ROOMS = ("ground", "models", "serving")
_SERVE = f"""#!/{VENV}/bin/python
import runpy
import sys

sys.argv[1:1] = ["serve"]
runpy.run_module("penstock.serving", run_name="__main__", alter_sys=True)
"""


def program_files(package: Path | None = None) -> dict[str, bytes]:
    """The program's files by their path below site-packages, sorted; ``package`` is the folder ``penstock``."""
    root = package or Path(ground.__file__).parent.parent
    inside = [path for room in _ROOMS for path in (root / room).rglob("*") if path.is_file()]
    beside = [root / "__init__.py", root / "doors.py", root / "py.typed"]
    paths = sorted(path for path in (*inside, *beside) if "__pycache__" not in path.parts)
    return {f"penstock/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


def program_digest(files: dict[str, bytes]) -> str:
    """The hex SHA-256 over names and contents."""
    hasher = hashlib.sha256()
    for name, content in sorted(files.items()):
        hasher.update(f"{name}\0{len(content)}\0".encode())
        hasher.update(content)
    return hasher.hexdigest()


def program_entries(
    files: dict[str, bytes], target: Target, *, python_path: str, interpreter: Interpreter | None, scratch: Path
) -> Iterator[LayerEntry]:
    """The virtual environment's skeleton on the base's Python, the program in it, and the command ``serve``."""
    yield from _skeleton(target, python_path)
    site = target.site_packages
    yield LayerEntry(name=f"{VENV}/bin/serve", mode=0o755, content=_SERVE.encode())
    about = f"Metadata-Version: 2.1\nName: penstock\nVersion: {__version__}\nLicense-Expression: Apache-2.0\n"
    yield LayerEntry(name=f"{site}/penstock-{__version__}.dist-info/METADATA", content=about.encode())
    yield LayerEntry(name=f"{site}/penstock-{__version__}.dist-info/INSTALLER", content=b"penstock\n")
    for name, content in files.items():
        yield LayerEntry(name=f"{site}/{name}", content=content)
    if interpreter is not None:
        names = [name for name in files if name.endswith(".py")]
        sources = ((f"/{site}/{name}", files[name]) for name in names)
        for name, pyc in zip(names, compile_ahead(sources, interpreter, scratch), strict=True):
            if isinstance(pyc, Slice):
                path = pyc_name(f"{site}/{name}", target.python)
                yield LayerEntry(name=path, content=pyc.open, size_bytes=pyc.size_bytes)


def _skeleton(target: Target, python_path: str) -> Iterator[LayerEntry]:
    home = python_path.rpartition("/")[0]
    settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {target.python}\n"
    yield LayerEntry(name=f"{VENV}/pyvenv.cfg", content=settings.encode())
    yield LayerEntry(name=f"{VENV}/bin/python", kind="symlink", link_target=python_path)
    for name in ("python3", f"python{target.python}"):
        yield LayerEntry(name=f"{VENV}/bin/{name}", kind="symlink", link_target="python")
