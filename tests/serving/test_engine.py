"""Who is predicted when and with whom: batching, bounds, deadlines, and pings meanwhile."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from serving.served import DEADLINE_S, ROW, Answered, Served
from serving.tricky_model import RAISE, WAIT

Serve = Callable[..., Served]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def ask(served: Served, *row: float) -> Answered:
    return served.invoke({"inputs": [list(row)]})


def metric(served: Served, name: str) -> float:
    text = served.call("GET", "/metrics").body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))


def wait_for(served: Served, name: str, value: float) -> None:
    while metric(served, name) != value:
        assert served.process.poll() is None


def test_pings_are_answered_and_requests_batched_while_the_model_works(
    tricky_folder: Path, serve_folder: Serve, gate: Path
) -> None:
    served = serve_folder(tricky_folder, environment={"TRICKY_GATE": str(gate)}).wait_ready()
    assert ask(served, 1, 1).status == 200  # by now it is proven that it may be batched
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(ask, served, WAIT, 0)
        wait_for(served, "penstock_running_requests", 1)
        others = [pool.submit(ask, served, 1, number) for number in range(8)]
        wait_for(served, "penstock_queue_requests", 8)
        assert served.call("GET", "/ping").status == 200
        calls = metric(served, "penstock_predict_calls_total")
        gate.touch()
        assert first.result().json == {"predictions": [WAIT]}
        assert [each.result().json for each in others] == [{"predictions": [1 + number]} for number in range(8)]
    assert metric(served, "penstock_predict_calls_total") - calls == 2


def test_one_bad_request_in_a_batch_fails_alone(tricky_folder: Path, serve_folder: Serve, gate: Path) -> None:
    served = serve_folder(tricky_folder, environment={"TRICKY_GATE": str(gate)}).wait_ready()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, served, WAIT, 0)
        wait_for(served, "penstock_running_requests", 1)
        rows = [(1, 1), (RAISE, 0), (2, 2)]
        others = [pool.submit(ask, served, *row) for row in rows]
        wait_for(served, "penstock_queue_requests", 3)
        gate.touch()
        assert first.result().status == 200
        assert [each.result().status for each in others] == [200, 500, 200]


def test_a_full_queue_is_503_with_retry_after(tricky_folder: Path, serve_folder: Serve, gate: Path) -> None:
    options = ("--queue-requests", "2")
    served = serve_folder(tricky_folder, *options, environment={"TRICKY_GATE": str(gate)}).wait_ready()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, served, WAIT, 0)
        wait_for(served, "penstock_running_requests", 1)
        waiting = [pool.submit(ask, served, 1, 1) for _ in range(2)]
        wait_for(served, "penstock_queue_requests", 2)
        refused = ask(served, 1, 1)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        gate.touch()
        assert first.result().status == 200
        assert [each.result().status for each in waiting] == [200, 200]


def test_a_request_is_given_up_in_time_and_the_server_goes_on(
    tricky_folder: Path, serve_folder: Serve, gate: Path
) -> None:
    options = ("--request-timeout", "0.3")
    served = serve_folder(tricky_folder, *options, environment={"TRICKY_GATE": str(gate)}).wait_ready()
    given_up = ask(served, WAIT, 0)
    assert (given_up.status, given_up.json["error_code"]) == (504, "PENSTOCK-E0601")
    gate.touch()
    while ask(served, 1, 1).status != 200:
        assert served.process.poll() is None


def test_a_full_pipeline_over_one_connection_is_answered_in_order(tricky_folder: Path, serve_folder: Serve) -> None:
    served = serve_folder(tricky_folder).wait_ready()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE_S)
    connection.connect()
    bodies = [json.dumps({"inputs": [[number, 0]]}).encode() for number in range(200)]
    head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
    everything = b"".join(f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies)
    threading.Thread(target=connection.sock.sendall, args=(everything,)).start()
    reader = connection.sock.makefile("rb")
    found = []
    while len(found) < len(bodies):
        length = 0
        while (line := reader.readline()) != b"\r\n":
            length = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else length
        found.append(json.loads(reader.read(length))["predictions"][0])
    assert found == list(range(200))
    reader.close()
    connection.close()


def test_the_models_own_failure_is_500_with_an_id_and_no_traceback(tricky_folder: Path, serve_folder: Serve) -> None:
    served = serve_folder(tricky_folder).wait_ready()
    answer = ask(served, RAISE, 0)
    assert (answer.status, answer.json["error_code"]) == (500, "PENSTOCK-E0710")
    assert "ValueError: asked to raise" in answer.json["message"]
    assert answer.json["request_id"] in served.log.read_text()
    assert "stack_trace" not in answer.json


def test_parameters_reach_the_model(tricky_folder: Path, serve_folder: Serve) -> None:
    served = serve_folder(tricky_folder).wait_ready()
    assert served.invoke({"inputs": [[1, 2]], "params": {"scale": 10.0}}).json == {"predictions": [30]}
    assert served.invoke({"inputs": [[1, 2]], "params": {"scale": "x"}}).status == 400


def test_a_sample_of_requests_is_logged_with_predictions(tricky_folder: Path, serve_folder: Serve) -> None:
    served = serve_folder(tricky_folder, "--log-sample", "1").wait_ready()
    served.invoke({"inputs": [[1, 2]]}, x_request_id="mine")
    line = next(line for line in served.log.read_text().splitlines() if line.startswith("{"))
    found = json.loads(line)
    assert (found["event"], found["request_id"], found["predictions"]) == ("prediction", "mine", [3.0])


def test_beside_a_compiled_form_the_original_is_loaded_when_a_row_needs_it(
    compiled_iris_folder: Path, serve_folder: Serve
) -> None:
    served = serve_folder(compiled_iris_folder).wait_ready()
    maps = Path(f"/proc/{served.process.pid}/maps")
    for _ in range(100):  # well known by now, so answered on the loop
        assert ask(served, *ROW).json == {"predictions": [2]}
    assert "sklearn" not in maps.read_text()
    with ThreadPoolExecutor(4) as pool:
        beyond = [pool.submit(ask, served, 1e300, 0, 0, 0) for _ in range(2)]
        near = [pool.submit(ask, served, *ROW) for _ in range(2)]
        assert [each.result().status for each in (*beyond, *near)] == [200] * 4
    assert "sklearn" in maps.read_text()


def test_an_original_that_does_not_load_is_the_answer_of_the_rows_that_need_it(
    compiled_iris_folder: Path, serve_folder: Serve, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(compiled_iris_folder, folder)
    document = yaml.safe_load((folder / "MLmodel").read_text())
    broken = b"cno_such_module\nThing\n."
    (folder / "model.pkl").write_bytes(broken)
    document["penstock_optimized"]["original_sha256"] = hashlib.sha256(broken).hexdigest()
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    served = serve_folder(folder).wait_ready()
    refused = ask(served, 1e300, 0, 0, 0)
    assert (refused.status, ask(served, *ROW).status) == (500, 200)
    assert "no_such_module" in refused.json["message"]
