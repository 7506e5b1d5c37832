#!/usr/bin/env python3
"""Runs a command in a terminal of its own and draws what it printed: record_terminal.py OUT.svg TITLE COMMAND..."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 104


def output_of(command: list[str]) -> str:
    """Everything ``command`` wrote to its terminal, escape codes included. Exits with its code if that is not 0."""
    os.environ.update(COLUMNS=str(COLUMNS), LINES="50", TERM="xterm-256color", FORCE_COLOR="1")
    written = io.BytesIO()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        written.write(data)
        return data

    code = os.waitstatus_to_exitcode(pty.spawn(command, read))
    if code:
        sys.exit(code)
    return written.getvalue().decode("utf-8", "replace")


def settled(text: str) -> str:
    """``text`` as it stands when all is done: lines that an animation erased or wrote over are gone."""
    lines: list[str] = [""]
    row = 0
    for token in re.split(r"(\x1b\[\d*[A-KSTsu]|\x1b\[\?\d+[hl]|\r\n|\n|\r)", text):
        if token in ("\n", "\r\n"):
            row += 1
            lines.extend([""] * (row + 1 - len(lines)))
        elif token == "\r":
            continue
        elif match := re.fullmatch(r"\x1b\[(\d*)A", token):
            row = max(0, row - int(match[1] or 1))
        elif re.fullmatch(r"\x1b\[\d*K", token):
            lines[row] = ""
        elif not token.startswith("\x1b[?") and not re.fullmatch(r"\x1b\[\d*[B-JSTsu]", token):
            lines[row] += token
    return "\n".join(lines).strip("\n")


def main() -> None:
    """Runs the command and writes the picture."""
    target, title, *command = sys.argv[1:]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {title}", style="bold"))
    console.print(Text.from_ansi(settled(output_of(command))))
    Path(target).write_text(console.export_svg(title="penstock"), encoding="utf-8")


if __name__ == "__main__":
    main()
