# ruff: noqa: PTH112, PTH123, PTH208, T201
"""A model server small enough to be an image of its own: the container contract, and misbehaviour on request.

Its environment says how it behaves: FAIL raises at start, SILENT never listens, SLOW_PING_S delays /ping.
"""

import http.server
import json
import os
import signal
import socket
import sys
import time

MODELS = {}
SECRET = os.urandom(4).hex()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    healthy = True

    def do_GET(self):
        if self.path.startswith("/models"):
            return self.answer(200, json.dumps({"models": sorted(MODELS)}).encode())
        time.sleep(float(os.environ.get("SLOW_PING_S", "0")))
        return self.answer(200 if Handler.healthy else 503, b"")

    def do_DELETE(self):
        known = MODELS.pop(self.path.split("/")[2], None)
        self.answer(404 if known is None else 200, b"{}")

    def load(self, body):
        """One of several models: its folder's file "weights" is its answer; "bad" ones fail; MODEL_SLOTS fit."""
        asked = json.loads(body)
        if asked["model_name"] in MODELS:
            return self.answer(409, b"loaded already")
        if len(MODELS) >= int(os.environ.get("MODEL_SLOTS", "100")):
            return self.answer(507, b"no memory")
        with open(asked["url"] + "/weights") as file:
            weights = file.read()
        if weights == "bad":
            return self.answer(500, b"the weights are bad")
        MODELS[asked["model_name"]] = weights
        return self.answer(200, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        mode = self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
        if self.path == "/models":
            self.load(body)
        elif self.path.startswith("/models/"):
            told = {"weights": MODELS[self.path.split("/")[2]], "body": body.decode()}
            self.answer(200, json.dumps(told).encode())
        elif os.environ.get("LINES"):
            self.answer(200, b"".join(b'{"big": "%s"}\n' % line.upper() for line in body.splitlines()))
        elif os.environ.get("PREDICTIONS"):
            self.answer(200, b'{"predictions": %s}' % os.environ["PREDICTIONS"].encode())
        elif mode == "fail":
            self.answer(400, b"bad rows")
        elif mode.startswith("status="):
            print("Traceback (most recent call last):\nZeroDivisionError: division by zero", flush=True)
            self.answer(int(mode.partition("=")[2]), b"division by zero")
        elif mode == "crash":
            os._exit(3)
        elif mode == "sick":
            Handler.healthy = False
            self.answer(200, b"{}")
        elif mode.startswith("sleep="):
            time.sleep(float(mode.partition("=")[2]))
            self.answer(200, b"{}")
        elif mode.startswith("hold="):
            Handler.held = []
            for _ in range(int(mode.partition("=")[2]) >> 24):  # in pieces, so that pings are answered meanwhile
                Handler.held.append(bytearray(b"x") * (1 << 24))
                time.sleep(0.001)
            self.answer(200, b"{}")
        elif mode.startswith("reach="):
            self.answer(200, b"true" if reaches(int(mode.partition("=")[2])) else b"false")
        elif mode == "chunks":
            self.chunks()
        else:
            self.answer(200, json.dumps(self.told(body.decode("utf-8", "replace"))).encode())

    def told(self, body):
        return {
            "body": body,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "model": sorted(os.listdir("/opt/ml/model")) if os.path.isdir("/opt/ml/model") else None,
            "greeting": os.environ.get("GREETING"),
            "variant": os.environ.get("VARIANT"),
            "pid": os.getpid(),
            "secret": SECRET,
            "writable": writable("/opt/ml/model/probe"),
        }

    def chunks(self):
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in (b"one ", b"two ", b"three"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        session = self.headers.get("X-Amzn-SageMaker-Session-Id")
        if session == "NEW_SESSION":
            made = f"{socket.gethostname()}-{os.getpid()}-{SECRET}; Expires=2030-01-01T00:00:00Z"
            self.send_header("X-Amzn-SageMaker-New-Session-Id", made)
        attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if attributes:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen:" + attributes)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        print("served", *arguments, flush=True)


def reaches(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


def writable(path):
    try:
        with open(path, "w"):
            return True
    except OSError:
        return False


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    assert sys.argv[1:] == ["serve"], sys.argv
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if os.environ.get("FAIL"):
        raise ValueError(os.environ["FAIL"])
    while os.environ.get("SILENT"):
        time.sleep(1)
    print("listening", flush=True)
    Server(("0.0.0.0", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
