"""``python -m penstock.rehearsal``: one embedded AWS on one loopback port, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import signal
import sys
from pathlib import Path

from penstock.ground.errors import PenstockError
from penstock.ground.files import locked
from penstock.ground.settings import RUNNERS, load_settings
from penstock.rehearsal.options import ACCOUNT, REGION, PlaneOptions
from penstock.rehearsal.plane import Plane
from penstock.serving.http.loop import run_loop

_PDEATHSIG = 1


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    arguments = _parser().parse_args()
    if arguments.die_with_parent:
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    try:
        options = _options(arguments)
        with locked(options.state_dir / "plane.lock"):
            run_loop(_serve(options))
    except PenstockError as error:
        print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


async def _serve(options: PlaneOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    plane = Plane(options)
    info = await plane.start()
    logging.getLogger("penstock.rehearsal").info("ready at %s", info.url)
    try:
        await stop.wait()
    finally:
        await plane.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penstock.rehearsal", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="where the plane keeps everything")
    parser.add_argument("--cache-dir", type=Path, help="where unpacked layers are kept, shared by planes")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0: the last plane's port, or a free one")
    parser.add_argument("--time-scale", type=float, default=0.01, help="1.0 makes bakes and waits as long as on AWS")
    parser.add_argument("--runner", choices=RUNNERS, default="auto", help="how containers are isolated")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--account", default=ACCOUNT)
    parser.add_argument("--check-signatures", action="store_true", help="refuse what no key of the account signed")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started it ends")
    return parser


def _options(arguments: argparse.Namespace) -> PlaneOptions:
    cache = arguments.cache_dir or load_settings().cache_dir
    return PlaneOptions(
        state_dir=arguments.state_dir.absolute(), cache_dir=cache.absolute(), host=arguments.host,
        port=arguments.port, time_scale=arguments.time_scale, runner=arguments.runner, region=arguments.region,
        account=arguments.account, check_signatures=arguments.check_signatures,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
