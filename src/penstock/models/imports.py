"""Which modules Python files import, what counts as a module that something must install, and keeping one out."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.ground.errors import InvalidInput


def source_imports(files: tuple[Path, ...]) -> frozenset[str]:
    """The modules that these Python files import, absolute imports only. Raises InvalidInput on a syntax error."""
    found: set[str] = set()
    for file in files:
        try:
            tree = ast.parse(file.read_bytes(), str(file))
        except SyntaxError as error:
            raise InvalidInput(f"{file} is not Python: {error}.", fix="Correct it.") from error
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return frozenset(found)


def python_files(path: Path) -> tuple[Path, ...]:
    """The Python files at or below ``path``."""
    return (path,) if path.is_file() else tuple(sorted(path.rglob("*.py")))


def top_level(modules: frozenset[str]) -> frozenset[str]:
    """The packages of these modules, without Python's own: of "sklearn.svm._classes" and "io" only "sklearn"."""
    roots = {name.partition(".")[0] for name in modules}
    return frozenset(roots - sys.stdlib_module_names - {"__main__", "builtins"})


@contextmanager
def without(module: str) -> Iterator[None]:
    """While the block runs, importing ``module`` fails as if it were not installed; one that is there already stays."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if sys.modules.get(module, 0) is None:
            del sys.modules[module]
