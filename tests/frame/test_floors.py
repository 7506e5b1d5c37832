"""The house stands on its floors: imports go down, rooms of one floor are strangers, nothing goes in circles."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from frame.imports import PACKAGE, edges, floor, modules, outside_imports, room


def test_every_import_goes_down_or_stays_in_its_room() -> None:
    breaches = [
        f"{edge.source} (floor {floor(edge.source)}) imports {edge.target} (floor {floor(edge.target)})"
        for edge in edges()
        if room(edge.source) != room(edge.target) and floor(edge.target) >= floor(edge.source)
    ]
    assert not breaches, "\n".join(breaches)


def test_no_module_imports_ours_inside_a_function() -> None:
    hidden = [f"{edge.source} imports {edge.target}" for edge in edges() if edge.hidden]
    assert not hidden, "\n".join(hidden)


def test_no_cycle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for edge in edges():
        graph[edge.source].add(edge.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_test_would_see_a_breach() -> None:
    assert floor("cli.main") > floor("api.config") > floor("ground.errors")
    assert any(edge.source == "cli.config" and edge.target == "api.config" for edge in edges())


def test_the_ground_floor_stands_on_the_standard_library_and_msgspec() -> None:
    for path in (PACKAGE / "ground").glob("*.py"):
        foreign = outside_imports(path) - sys.stdlib_module_names
        assert foreign <= {"msgspec"}, f"{path.name} imports {foreign}"


def test_rooms_have_cheap_doors() -> None:
    for name, path in modules().items():
        if path.name == "__init__.py" and name:
            assert not outside_imports(path) - sys.stdlib_module_names - {"msgspec"}, name
