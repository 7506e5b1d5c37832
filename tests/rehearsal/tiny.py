"""A tiny image that any runner level can run: the test's own Python, just the modules the server needs, the server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.oci.cache import BlobCache
from penstock.oci.image import Image, empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.types import Platform, RuntimeConfig

HERE = Path(__file__).parent
BIND_LABEL = {"com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true"}
_LIST = """
import sys, json, runpy
sys.argv = ["server", "serve"]
import encodings.idna, encodings.latin_1, encodings.ascii, traceback, linecache, tokenize, http.client
runpy.run_path(%r, run_name="listed")
files = {m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
print(json.dumps({"files": sorted(files), "base": sys.base_prefix, "python": sys.executable}))
"""


def tiny_image(
    cache: BlobCache, *, architecture: str = "", labels: dict[str, str] | None = None, server: str = "model_server.py"
) -> Image:
    """An image whose entrypoint is ``python3 /app/<server>``; ``labels`` default to the bind-to-port label."""
    python = write_layer(list(_python(HERE / server)), cache)
    app = write_layer([LayerEntry(name=f"app/{server}", content=HERE / server)], cache)
    runtime = RuntimeConfig(
        entrypoint=("/usr/bin/python3", "-I", "-S", f"/app/{server}"),
        env=("PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1"),
        labels=BIND_LABEL if labels is None else labels,
    )
    platform = Platform("linux", architecture) if architecture else Platform.of_host()
    return empty_image(platform).append([python, app]).configured(runtime)


def _python(server: Path) -> Iterator[LayerEntry]:
    found = json.loads(
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LIST % str(server)], check=True, capture_output=True, text=True
        ).stdout
    )
    base = Path(found["base"])
    interpreter = Path(sys.executable).resolve()
    version = f"python3.{sys.version_info.minor}"
    files = [Path(name) for name in found["files"] if name.startswith(str(base))]
    binaries = [interpreter, *(path for path in files if path.suffix == ".so")]
    libraries = {found for binary in binaries for found in _needed(binary)}
    for path in files:
        yield LayerEntry(name=f"usr/lib/{version}/{path.relative_to(base / 'lib' / version)}", content=path)
    for name, path in sorted(libraries):
        yield LayerEntry(name=name.lstrip("/"), content=path, mode=0o755)
    yield LayerEntry(name=f"usr/lib/{version}/lib-dynload", kind="directory")
    yield LayerEntry(name="usr/bin/python3", content=interpreter, mode=0o755)
    yield LayerEntry(name="etc/passwd", content=b"root:x:0:0:root:/root:/bin/sh\n")


def _needed(binary: Path) -> Iterator[tuple[str, Path]]:
    told = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    for path in re.findall(r"(/\S+)", told):
        resolved = Path(path).resolve()
        if resolved.is_file():
            yield (path if path.startswith("/lib64/") else f"/usr/lib/{Path(path).name}"), resolved
