"""The program that every image starts: ``serve [MODEL]``."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from penstock.ground.errors import PenstockError
from penstock.models.load import LoadedModel, load_model
from penstock.serving.app import ModelApp
from penstock.serving.http.server import HttpServer, listener, run
from penstock.serving.keeper import Keeper, KeptServer
from penstock.serving.metrics import Metrics
from penstock.serving.options import ServeOptions, serve_options
from penstock.serving.predictor import Predictor
from penstock.serving.waiting import answering
from penstock.serving.workers import Supervisor

SWITCH_S = 0.001  # how long the model's thread may keep the loop from its pings, in pure Python


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM; gives the exit code. A failure's last line on stderr says what went wrong."""
    try:
        return serve(serve_options(parsed(sys.argv[1:] if arguments is None else arguments)))
    except PenstockError as error:
        print_failure(error)
        return 1


def serve_main() -> None:
    """The program ``serve`` inside an image. A prediction that never ends does not keep the process."""
    code = main()
    sys.stdout.flush()
    os._exit(code)


def parsed(arguments: Sequence[str]) -> dict[str, str | None]:
    """The flags as texts. A leading ``serve`` is taken: it is the one argument SageMaker gives any image."""
    given = list(arguments)
    if given and given[0] == "serve":
        del given[0]
    parser = argparse.ArgumentParser("serve", description="Serve a model over HTTP.", allow_abbrev=False)
    parser.add_argument("model", nargs="?", help="the model's folder; by default where the platform puts it")
    parser.add_argument("--host", help="the address to listen on (0.0.0.0)")
    parser.add_argument("--port", help="the port; by default $SAGEMAKER_BIND_TO_PORT, $AIP_HTTP_PORT, $PORT or 8080")
    parser.add_argument("--workers", help="processes that answer (1)")
    parser.add_argument("--max-body-bytes", help="the largest body that is taken (25 MiB)")
    parser.add_argument("--request-timeout", help="seconds until a request is given up with 504 (60)")
    parser.add_argument("--model-name", help="the name KServe's routes know it by (any)")
    parser.add_argument("--batching", choices=("on", "off"), help="predict for several requests at once (on)")
    parser.add_argument("--batch-rows", help="the most rows of several requests in one prediction (512)")
    parser.add_argument("--batch-wait-ms", help="how long a request may wait for company (0)")
    parser.add_argument("--queue-requests", help="how many requests may wait before others get 503 (1024)")
    parser.add_argument("--log-sample", help="the share of requests logged with their predictions (0)")
    parser.add_argument("--debug", action="store_const", const="1", help="put tracebacks into error answers")
    return vars(parser.parse_args(given))


def serve(options: ServeOptions) -> int:
    """Loads the model and serves it; gives the exit code."""
    signal.signal(signal.SIGTERM, leave)  # as PID 1 a process without a handler does not get the signal at all
    sys.setswitchinterval(SWITCH_S)
    application = ModelApp(options, Metrics(options.workers))
    with listener(options.host, options.port) as listening:
        _share_cores(options.workers)
        gc.disable()  # what a library's import makes is there to stay: 6 % of the time until ready
        try:
            model = _load(application, options.model, listening, options.workers)
        finally:
            gc.freeze()  # nor is it walked again: 0.25 s for a forest of 500 trees, in the middle of answers
            gc.enable()
        if options.workers == 1:
            _serve_here(application, model, options, listening)
            return 0
        return _serve_in_workers(application, model, options, listening)


def _load(application: ModelApp, path: Path | None, listening: socket.socket, workers: int) -> LoadedModel | None:
    """The model; pings are answered meanwhile."""
    if path is None:
        return None
    started = time.monotonic()
    with answering(application, listening):
        model = load_model(path)
        if workers > 1:
            Predictor(model).load_original()  # before they are forked, so that they share its pages
    _say(f"loaded {path} in {time.monotonic() - started:.2f} s")
    return model


def _share_cores(workers: int) -> None:
    """Gives each worker's numeric library its share of the cores, unless somebody said how many it may have."""
    if workers > 1:
        cores = len(os.sched_getaffinity(0))
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))


def _serve_here(
    application: ModelApp,
    model: LoadedModel | None,
    options: ServeOptions,
    listening: socket.socket,
    server: HttpServer | None = None,
) -> None:
    def started(address: tuple[str, int]) -> None:
        if isinstance(server, KeptServer):
            server.end_with_supervisor()
        _say(f"serving at http://{address[0]}:{address[1]}")
        if model is not None:
            application.serve(model)

    serving = server or HttpServer(application, render_error=application.render_error)
    run(application, sock=listening, server=serving, ready=started, drain_s=options.drain_s)


def _serve_in_workers(
    application: ModelApp, model: LoadedModel | None, options: ServeOptions, listening: socket.socket
) -> int:
    """Several processes share the socket and the pages of the one loaded model."""

    def work(_number: int, keeper: Keeper) -> None:
        server = KeptServer(application, keeper=keeper, render_error=application.render_error)
        _serve_here(application, model, options, listening, server)

    return Supervisor(options.workers, work, metrics=application.metrics, drain_s=options.drain_s, say=_say).run()


def print_failure(error: PenstockError) -> None:
    """The cause's traceback, then one line with the whole story: the line a platform shows as its failure reason."""
    if error.__cause__ is not None:
        traceback.print_exception(error.__cause__, file=sys.stderr)
    line = " ".join(f"{type(error).__name__}: {error}".split())
    print(line, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(f"penstock[{os.getpid()}]: {text}", file=sys.stderr, flush=True)


def leave(number: int, frame: FrameType | None) -> None:
    """Ends while the model loads. An exception would be lost in a destructor or a callback, and the server stay."""
    os._exit(0)
