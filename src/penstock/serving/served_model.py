"""One loaded model with its codecs and its engine: a request body in, a response out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.models.load import LoadedModel
from penstock.serving.codecs.answers import answer, json_answer
from penstock.serving.codecs.csv_table import CsvTable
from penstock.serving.codecs.formats import OFFERED, decoder_of
from penstock.serving.codecs.json_forms import JsonForms
from penstock.serving.codecs.media import ContentType, Media, accepted, content_type_of, plain_body
from penstock.serving.engine import Engine, EngineLimits
from penstock.serving.http.types import Promise, Request, Response
from penstock.serving.metrics import Metrics
from penstock.serving.payload import Dialect, Payload
from penstock.serving.predictor import Predictor

ASIDE_BYTES = 256 << 10  # a larger body is decoded away from the loop: 256 KiB of JSON take about 2 ms

_JSON = (None, Media.JSON, Media.NUMPY_SPLIT)
_JSON_ANSWERS = {dialect: partial(json_answer, dialect=dialect) for dialect in Dialect}

Decode = Callable[[bytes, ContentType], Payload]
Done = Callable[[Request, Payload, Any], None]


class ServedModel:
    """A model that answers requests. Made inside the loop it is to answer in."""

    def __init__(self, model: LoadedModel, *, limits: EngineLimits, max_body_bytes: int, metrics: Metrics) -> None:
        self.model = model
        self.predictor = Predictor(model)
        self.json = JsonForms(model.inputs)
        self.csv = CsvTable(model.inputs)
        self.engine = Engine(self.predictor, limits, metrics)
        self._max_body_bytes = max_body_bytes

    def invoke(
        self,
        request: Request,
        *,
        decode: Decode | None = None,
        encode: Callable[[Any, Payload], Response] | None = None,
        dialect: Dialect | None = None,
        done: Done | None = None,
    ) -> Response | Promise:
        """The response, or the promise of it, to the body of ``request``.

        ``decode`` and ``encode`` stand in for what Content-Type and Accept say; ``dialect`` overrules the payload's.
        ``done`` is told the request, its payload and the predictions.
        """
        content_type = content_type_of(request.headers)
        raw = request.headers.raw
        if (
            decode is None
            and encode is None
            and done is None
            and not (b"accept" in raw or b"content-encoding" in raw)
            and len(request.body) <= ASIDE_BYTES
        ):  # the same as below, nothing being made for the one request
            plain = self._decode(request.body, content_type)
            if dialect is not None:
                plain.dialect = dialect
            return self.engine.submit(plain, _JSON_ANSWERS[plain.dialect])

        def payload() -> Payload:
            body = plain_body(request.body, request.headers, max_bytes=self._max_body_bytes)
            found = (decode or self._decode)(body, content_type)
            if dialect is not None:
                found.dialect = dialect
            return found

        def encoder(found: Payload) -> Callable[[Any], Response]:
            wanted = None if encode is not None else accepted(request.headers, OFFERED)
            if done is None and encode is None and wanted in _JSON:
                return _JSON_ANSWERS[found.dialect]  # nearly always: nothing is made for the one request

            def encoded(predictions: Any) -> Response:
                if done is not None:
                    done(request, found, predictions)
                return answer(predictions, found.dialect, wanted) if encode is None else encode(predictions, found)

            return encoded

        if len(request.body) > ASIDE_BYTES:

            def work() -> Response:
                found = payload()
                return encoder(found)(self.engine.predict(found))

            return self.engine.submit_work(work)
        found = payload()
        return self.engine.submit(found, encoder(found))

    def _decode(self, body: bytes, content_type: ContentType) -> Payload:
        if content_type.media in (Media.JSON, Media.NUMPY_SPLIT):
            return self.json.decode(body, content_type)
        if content_type.media is Media.CSV:
            return self.csv.decode(body, content_type)
        return decoder_of(content_type.media)(body, self.model, self._max_body_bytes)
