"""``penstock serve`` runs the very program that images start."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from pathlib import Path

from serving.served import DEADLINE_S

PENSTOCK = str(Path(sys.executable).with_name("penstock"))


def test_the_command_serves_a_folder_until_it_is_stopped(tricky_folder: Path) -> None:
    command = [PENSTOCK, "serve", str(tricky_folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next(match for line in process.stderr if (match := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
        client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=DEADLINE_S)
        client.request("POST", "/invocations", '{"inputs": [[1, 2]]}', {"content-type": "application/json"})
        assert client.getresponse().read() == b'{"predictions":[3.0]}'
        client.close()
        process.terminate()
        assert process.wait(DEADLINE_S) == 0


def test_a_folder_that_is_not_there_says_so() -> None:
    command = [PENSTOCK, "serve", "/no/such/model"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 6
    assert "/no/such/model" in ended.stderr
