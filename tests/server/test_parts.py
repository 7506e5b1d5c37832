"""Signed URLs: a part-wise upload straight into S3, and the refusal where the storage signs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import urllib3
from moto.server import ThreadedMotoServer

from server.running import Client, options_in, running

PROXY = "/api/2.0/mlflow-artifacts"


@pytest.fixture
def in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
        bucket = f"parts-{port}"
        boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket=bucket)
        with running(options_in(tmp_path, artifacts_destination=f"s3://{bucket}/root")) as number:
            client = Client(number)
            yield client
            client.close()
    finally:
        moto.stop()


def test_parts_go_straight_to_the_storage(in_s3: Client) -> None:
    made = in_s3.post(f"{PROXY}/mpu/create/0/run/artifacts", path="/tmp/big.bin", num_parts=2).json
    pieces = [b"a" * (5 << 20), b"b" * 10]
    pool = urllib3.PoolManager()
    parts = []
    for target, piece in zip(made["credentials"], pieces, strict=True):
        etag = pool.request("PUT", target["url"], body=piece).headers["ETag"]
        parts.append({"part_number": target["part_number"], "etag": etag})
    fields = {"path": "big.bin", "upload_id": made["upload_id"]}
    assert in_s3.post(f"{PROXY}/mpu/complete/0/run/artifacts", **fields, parts=parts).status == 200
    assert in_s3.send("GET", f"{PROXY}/artifacts/0/run/artifacts/big.bin").body == b"".join(pieces)
    signed = in_s3.get(f"{PROXY}/presigned/0/run/artifacts/big.bin").json
    assert (signed["file_size"], pool.request("GET", signed["url"]).data[-10:]) == (len(pieces[0]) + 10, pieces[1])
    again = in_s3.post(f"{PROXY}/mpu/create/0", path="x", num_parts=1).json["upload_id"]
    assert in_s3.post(f"{PROXY}/mpu/abort/0", path="x", upload_id=again).status == 200
    pool.clear()


def test_a_folder_signs_nothing_and_says_so(client: Client) -> None:
    answer = client.post(f"{PROXY}/mpu/create/0", path="x", num_parts=1)
    assert (answer.status, answer.code) == (501, "NOT_IMPLEMENTED")
    assert answer.json["message"].startswith("Multipart upload is not supported for the current artifact repository")
    assert client.post(f"{PROXY}/mpu/create/..%2f0", path="x").status in (400, 501)
    run_id = client.make_run()
    for route in ("artifacts/presigned-download-url", "artifacts/presigned-upload-url"):
        assert client.post(route, run_id=run_id, path="x").status == 400
        assert client.post(route, path="x").status == 400
