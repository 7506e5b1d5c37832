"""The ledger: what was recorded survives a kill at any byte, and two writers do not harm one another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.deploy.ledger import Event, Ledger, ledger_path
from penstock.deploy.resources import Kind, Resource

MODEL = Resource(Kind.MODEL, "iris-1")
CONFIG = Resource(Kind.CONFIG, "iris-2")


def test_what_is_made_is_present_until_it_is_gone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.record("iris", Event.MAKING, MODEL)
    assert ledger.resources("iris") == (MODEL,)
    ledger.record("iris", Event.MADE, MODEL)
    ledger.record("iris", Event.REMOVING, MODEL)
    assert ledger.resources("iris") == (MODEL,)
    ledger.record("iris", Event.GONE, MODEL)
    assert ledger.resources("iris") == ()
    assert ledger.deployments() == ()


def test_only_what_was_made_since_it_last_served_is_unproven(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.record("iris", Event.MADE, MODEL)
    ledger.record("iris", Event.SERVED, config="iris-2")
    ledger.record("iris", Event.MADE, CONFIG)
    ledger.record("other", Event.SERVED)
    assert ledger.unproven("iris") == (CONFIG,)
    assert ledger.resources("iris") == (MODEL, CONFIG)
    assert [entry.detail for entry in ledger.history("iris")] == [{"config": "iris-2"}]


def test_a_file_cut_at_any_byte_is_read_and_written_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    ledger = Ledger(whole)
    ledger.record("iris", Event.MADE, MODEL)
    first = whole.stat().st_size
    ledger.record("iris", Event.MADE, CONFIG)
    content = whole.read_bytes()
    for cut in range(first, len(content)):
        torn = Ledger(tmp_path / f"torn-{cut}.jsonl")
        torn.path.write_bytes(content[:cut])
        expected = (MODEL,) if cut < len(content) - 1 else (MODEL, CONFIG)
        assert torn.resources("iris") == expected
        torn.record("iris", Event.MADE, CONFIG)
        assert torn.resources("iris") == (MODEL, CONFIG)


def test_writers_that_are_killed_lose_nothing_that_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    program = (
        "import sys; from pathlib import Path\n"
        "from penstock.deploy.ledger import *; from penstock.deploy.resources import *\n"
        "ledger = Ledger(Path(sys.argv[1])); number = 0\n"
        "while True:\n"
        "    ledger.record(sys.argv[2], Event.MADE, Resource(Kind.MODEL, str(number)))\n"
        "    print(number, flush=True); number += 1\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    told = []
    for writer in writers:
        assert writer.stdout is not None
        told.append(max(int(writer.stdout.readline()) for _ in range(20)))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    for name, last in zip(("a", "b"), told, strict=True):
        names = {resource.name for resource in Ledger(path).resources(name)}
        assert {str(number) for number in range(last + 1)} <= names


def test_the_lock_keeps_a_second_deploy_of_the_name_waiting(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    program = (
        "import sys; from pathlib import Path; from penstock.deploy.ledger import *\n"
        "print('asking', flush=True)\n"
        "with Ledger(Path(sys.argv[1])).locked('iris'): print('in', flush=True)\n"
    )
    with ledger.locked("iris"):
        second = subprocess.Popen([sys.executable, "-c", program, str(ledger.path)], stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "asking\n"
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.3)
        begun = time.monotonic()
    assert second.communicate()[0] == "in\n"
    assert time.monotonic() - begun < 10


def test_accounts_regions_and_places_have_ledgers_of_their_own(tmp_path: Path) -> None:
    urls = ("https://api.sagemaker.eu-west-1.amazonaws.com", "http://127.0.0.1:1")
    paths = {
        ledger_path(tmp_path, account=account, region=region, place=url)
        for account in ("1", "2")
        for region in ("eu-west-1", "us-east-1")
        for url in urls
    }
    assert len(paths) == 8
