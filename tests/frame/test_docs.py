"""The docs say what the code says: the reference page is the code's, and every command a page shows exists."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.cli.table import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = re.compile(r"(?:^|[\n`])\s*(?:\$ )?penstock ([a-z]+)")


def _reference() -> str:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.page()
    return text


def test_the_reference_is_the_codes() -> None:
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == _reference(), "run scripts/reference.py"


def _shown() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for match in SHOWN.finditer(page.read_text(encoding="utf-8")):
            yield page.name, match[1]


def test_every_command_in_the_docs_exists() -> None:
    shown = list(_shown())
    assert len(shown) > 10
    unknown = [f"{page}: penstock {name}" for page, name in shown if name not in COMMANDS]
    assert not unknown, "\n".join(unknown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_ends_as_a_sentence(name: str) -> None:
    assert COMMANDS[name].help.endswith(".")
