"""Group commit: what waits is committed together, on the loop or on the thread, and each caller hears its own."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from server.running import Answer, Client, options_in, running


def test_a_lock_of_another_program_holds_up_writes_and_nothing_else(tmp_path: Path) -> None:
    with running(options_in(tmp_path)) as port:
        client, other = Client(port), Client(port)
        run_id = client.make_run()
        lock = sqlite3.connect(tmp_path / "server.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        answers: list[Answer] = []

        def write() -> None:
            answers.append(other.post("runs/log-metric", run_id=run_id, key="a", value=1, timestamp=1))

        thread = threading.Thread(target=write)
        thread.start()
        assert client.get("runs/get", run_id=run_id).json["run"]["data"].get("metrics") is None
        assert client.send("GET", "/health").body == b"OK"
        assert answers == []
        lock.execute("ROLLBACK")
        lock.close()
        thread.join()
        assert [answer.status for answer in answers] == [200]
        assert client.get("runs/get", run_id=run_id).json["run"]["data"]["metrics"][0]["value"] == 1
        client.close()
        other.close()


def test_many_at_once_are_each_told_their_own(tmp_path: Path) -> None:
    with running(options_in(tmp_path)) as port:
        first = Client(port)
        run_id = first.make_run()
        answers: dict[int, list[Answer]] = {place: [] for place in range(8)}

        def work(place: int) -> None:
            client = Client(port)
            for number in range(20):
                wanted = run_id if (place + number) % 3 else "absent"
                fields = {"key": f"k{place}", "value": number, "timestamp": number, "step": number}
                answers[place].append(client.post("runs/log-metric", run_id=wanted, **fields))
                if number == 10:  # a large batch is the thread's; what is small waits for its turn behind it
                    points = [{"key": f"b{place}", "value": n, "timestamp": n, "step": n} for n in range(1000)]
                    assert client.post("runs/log-batch", run_id=run_id, metrics=points).status == 200
            client.close()

        threads = [threading.Thread(target=work, args=(place,)) for place in answers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for place, told in answers.items():
            assert [answer.status for answer in told] == [200 if (place + n) % 3 else 404 for n in range(20)]
            kept = first.get("metrics/get-history", run_id=run_id, metric_key=f"k{place}").json["metrics"]
            assert [point["step"] for point in kept] == [n for n in range(20) if (place + n) % 3]
            assert len(first.get("metrics/get-history", run_id=run_id, metric_key=f"b{place}").json["metrics"]) == 1000
        first.close()


def test_a_strange_origin_gets_its_headers_with_a_batch_too(tmp_path: Path) -> None:
    with running(options_in(tmp_path)) as port:
        client = Client(port)
        body = f'{{"run_id": "{client.make_run()}", "key": "a", "value": 1, "timestamp": 1}}'
        headers = {"Content-Type": "application/json"}
        plain = client.send("POST", "runs/log-metric", body, headers)
        local = client.send("POST", "runs/log-metric", body, {**headers, "Origin": "http://localhost:3000"})
        refused = client.send("POST", "runs/log-metric", body.replace('"a"', '"../a"'), headers)
        assert (plain.status, local.status, refused.status) == (200, 200, 400)
        assert local.headers["access-control-allow-origin"] == "http://localhost:3000"
        for answer in (plain, local, refused):
            assert answer.headers["x-content-type-options"] == "nosniff"
        client.close()
