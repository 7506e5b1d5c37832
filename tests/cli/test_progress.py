"""What a watcher of a transfer sees."""

from __future__ import annotations

import io

from rich.console import Console

from penstock.cli.progress import PlainProgress, TerminalProgress


def test_a_terminal_shows_a_bar_with_amount_and_rate() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=120)
    progress = TerminalProgress(console)
    with progress.phase("push iris") as phase:
        phase.advance(3_000_000, 12_000_000)
        assert progress.live is not None
        progress.live.refresh()
        phase.detail("another thing")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "━━━━━━" in shown
    assert "3.0 of 12.0 MB" in shown
    assert "MB/s" in shown


def test_a_pipe_gets_one_line_without_a_bar() -> None:
    console = Console(file=io.StringIO(), width=120)
    with PlainProgress(console).phase("push iris") as phase:
        phase.advance(3_000_000, 12_000_000)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count("\n") == 1
    assert "━" not in shown
    assert "3.0 of 12.0 MB" in shown
