"""What the package's modules import of each other, read from the source without running it."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import NamedTuple

import penstock

PACKAGE = Path(penstock.__file__).parent

FLOORS = {
    "ground": 0,
    "store": 1,
    "models": 1,
    "oci": 1,
    "artifacts": 2,
    "serving": 2,
    "images": 2,
    "deploy": 3,
    "rehearsal": 3,
    "server": 3,
    "api": 4,
    "cli": 5,
}
# The lazy front door, and mlflow.sagemaker's namesake over the api floor: they stand beside the rooms.
BESIDE = {"": 6, "doors": 0, "exceptions": 1, "sagemaker": 5}


class Edge(NamedTuple):
    """Module ``source`` imports module ``target``; ``hidden`` when the import is inside a function."""

    source: str
    target: str
    hidden: bool


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below ``penstock``, '' for the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """The room that ``module`` is in: 'ground' for 'ground.errors'."""
    return module.partition(".")[0]


def floor(module: str) -> int:
    """The floor of ``module``."""
    name = room(module)
    return BESIDE[name] if name in BESIDE else FLOORS[name]


@functools.cache
def edges() -> list[Edge]:
    """Every import of one of our modules by another, imports for type checking left out."""
    known = modules()
    return [edge for name, path in known.items() for edge in _edges_of(name, path, known)]


def outside_imports(path: Path) -> set[str]:
    """The top-level packages, not ours, that the module at ``path`` imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - {"penstock"}


def _edges_of(name: str, path: Path, known: dict[str, Path]) -> list[Edge]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    checking = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    return [
        Edge(name, target, id(node) in inside)
        for node in ast.walk(tree)
        if id(node) not in checking
        for target in _targets(node, known)
        if target != name
    ]


def _targets(node: ast.AST, known: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.removeprefix("penstock").lstrip(".") for alias in node.names if room_of(alias.name)]
    if isinstance(node, ast.ImportFrom) and node.module and room_of(node.module):
        base = node.module.removeprefix("penstock").lstrip(".")
        candidates = [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
        return [each if each in known else base for each in candidates]
    return []


def room_of(dotted: str) -> bool:
    """Whether ``dotted`` names one of our modules."""
    return dotted == "penstock" or dotted.startswith("penstock.")
