"""The serving program is what goes into an image: it imports ground, models and serving, and four libraries."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import penstock.serving
from penstock.serving.codecs.formats import LATE

ALLOWED = {"msgspec", "numpy", "yaml", "httptools", "uvloop", "penstock"}
ROOMS = {"penstock", "penstock.ground", "penstock.models", "penstock.serving", "penstock.doors"}
PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""
# What a library's own import brings along where it is installed, without needing it.
COMPANIONS = {"typing_extensions", "cython_runtime"}


def _modules_after(names: list[str]) -> set[str]:
    found = subprocess.run([sys.executable, "-c", PROBE, *names], capture_output=True, check=True, text=True)
    return set(json.loads(found.stdout))


def test_importing_serving_imports_nothing_else() -> None:
    walked = pkgutil.walk_packages(penstock.serving.__path__, "penstock.serving.")
    names = [module.name for module in walked if not module.name.endswith("__main__") and module.name not in LATE]
    modules = _modules_after(names) - _modules_after([])  # a distribution's Python loads modules of its own at start
    roots = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - COMPANIONS
    foreign = {root for root in roots if not root.startswith(("_", "__editable__"))} - ALLOWED
    assert foreign == set()
    rooms = {".".join(name.split(".")[:2]) for name in modules if name.partition(".")[0] == "penstock"}
    assert rooms - ROOMS == set()
