"""Data capture: invocations as JSON lines in S3, laid out by endpoint, variant and hour as Model Monitor reads them.

Source: facts 1.7. Lines are gathered in memory and written when a file is due; what a killed plane had not yet written
is lost, as AWS too promises no more than its best.
"""

from __future__ import annotations

import base64
import logging
import random
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.ground.clock import Clock
from penstock.rehearsal.s3 import Buckets, split_uri
from penstock.rehearsal.traffic.invocations import Invocation

LOG = logging.getLogger("penstock.rehearsal")
_PREFIX = "x-amzn-sagemaker-"
_Place = tuple[str, str, str]


class DataCapture:
    """Keeps what the endpoints' configs ask to be captured. ``observe`` is cheap; ``flush`` writes to S3."""

    def __init__(self, buckets: Buckets, *, clock: Clock) -> None:
        self._buckets = buckets
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: dict[_Place, list[bytes]] = {}

    def observe(self, invocation: Invocation) -> None:
        """Notes the invocation if its endpoint captures and the dice say so."""
        config = invocation.route.fleet.config.get("DataCaptureConfig")
        if config is None or not config.get("EnableCapture") or not 200 <= invocation.answer.status < 300:
            return
        if random.random() * 100 >= config["InitialSamplingPercentage"]:
            return
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        line = msgspec.json.encode(captured(invocation, config, now))
        place = (config["DestinationS3Uri"].rstrip("/"), invocation.router.endpoint, invocation.route.plan.name)
        with self._lock:
            self._lines.setdefault(place, []).append(line)

    def flush(self) -> None:
        """Writes one file for each variant that has new lines."""
        with self._lock:
            waiting, self._lines = self._lines, {}
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        for (destination, endpoint, variant), lines in waiting.items():
            folder = f"{destination}/{endpoint}/{variant}/{now:%Y/%m/%d/%H}"
            location = f"{folder}/{now:%M-%S}-{now.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
            try:
                self._buckets.put(*split_uri(location), b"\n".join(lines) + b"\n", content_type="application/x-ndjson")
            except KeyError as error:
                LOG.warning("captured data of %s is lost: there is no bucket %s", endpoint, error.args[0])


def captured(invocation: Invocation, config: dict[str, Any], now: datetime) -> dict[str, Any]:
    """One line of a capture file."""
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side(invocation.body, invocation.request.headers.get("content-type"), "INPUT", config)
    if modes & {"Output", "InputAndOutput"}:
        answer = invocation.answer
        data["endpointOutput"] = _side(answer.body, answer.headers.get("content-type"), "OUTPUT", config)
    return {"captureData": data, "eventMetadata": _about(invocation, now), "eventVersion": "0"}


def _side(content: bytes, content_type: str | None, mode: str, config: dict[str, Any]) -> dict[str, Any]:
    data, encoding = _encoded(content, content_type or "", config.get("CaptureContentTypeHeader", {}))
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _encoded(content: bytes, content_type: str, listed: dict[str, list[str]]) -> tuple[str, str]:
    """Text where the config lists the content type and the bytes are text, base64 otherwise."""
    plain = content_type.partition(";")[0].strip()
    for kind, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        if plain in listed.get(kind, []):
            try:
                return content.decode("utf-8"), encoding
            except UnicodeDecodeError:
                break
    return base64.b64encode(content).decode(), "BASE64"


def _about(invocation: Invocation, now: datetime) -> dict[str, Any]:
    about: dict[str, Any] = {
        "eventId": invocation.request_id,
        "inferenceTime": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    inference_id = invocation.request.headers.get(f"{_PREFIX}inference-id")
    if inference_id:
        about["inferenceId"] = inference_id
    attributes = invocation.answer.headers.get(f"{_PREFIX}custom-attributes")
    if attributes:
        about["customAttributes"] = [attributes]
    return about
