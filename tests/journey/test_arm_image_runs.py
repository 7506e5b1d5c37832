"""An arm64 image, made here, answers on an emulated arm64 processor as its model does here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from components import missing
from journey.test_images_run import expected, iris, unused_port
from penstock.ground.settings import load_settings
from penstock.images.build import BuildOptions, build_image
from penstock.models.folder import read_model_folder
from penstock.oci.unpack import unpack_image

__all__ = ["expected", "iris"]
DEADLINE_S = 240.0  # emulation is twenty times slower


@pytest.mark.full
@pytest.mark.timeout(400)
def test_it_answers_under_emulation(
    tool: Callable[[str], Path], iris: Path, expected: tuple[str, list[int]], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        missing("root", "chroot is for root alone; run the full ring as root")
    shutil.copy(tool("qemu-aarch64-static"), tmp_path / "qemu")
    built = build_image(
        read_model_folder(iris), options=BuildOptions(platform="linux/arm64"), cache_dir=load_settings().cache_dir
    )
    root = tmp_path / "root"
    unpack_image(built.image, root)
    (tmp_path / "qemu").rename(root / "qemu")
    runtime, port = built.image.config.runtime, unused_port()
    command = [str(tool("chroot")), str(root), "/qemu", *(runtime.entrypoint or ()), "serve", "--port", str(port)]
    environment = dict(line.split("=", 1) for line in runtime.env or ())
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        assert answered(port, expected[0], process, tmp_path / "log") == {"predictions": expected[1]}
    finally:
        process.kill()
        process.wait()


def answered(port: int, body: str, process: subprocess.Popen[bytes], log: Path) -> object:
    """The answer, once the model is loaded."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body.encode(), {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
