"""A multi-model endpoint of the image that we build: several models, one container, each answering as it does here."""

from __future__ import annotations

import io
import json
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from botocore.exceptions import ClientError
from sklearn.linear_model import LinearRegression

from journey.test_images_run import image, iris
from penstock.images.build import BuiltImage
from penstock.models.load import load_model
from penstock.models.pack import save_model
from penstock.models.trust import TRUSTED
from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny
from rehearsal.test_containers import serve

__all__ = ["image", "iris", "plane_cache", "rehearsal", "tiny"]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same packages: it adds up."""
    path = tmp_path_factory.mktemp("line") / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model(LinearRegression().fit(np.eye(4), [1.0] * 4), path, input_example=np.eye(4)[:2])
    return path


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return buffer.getvalue()


@pytest.mark.full
def test_the_built_image_serves_several_models(rehearsal: Rehearsal, image: BuiltImage, iris: Path, line: Path) -> None:
    s3 = rehearsal.client("s3")
    s3.create_bucket(Bucket="zoo")
    for name, folder in (("iris", iris), ("line", line)):
        s3.put_object(Bucket="zoo", Key=f"models/{name}.tar.gz", Body=packed(folder))
    container = {"Image": rehearsal.push("own", image=image.image), "Mode": "MultiModel",
                 "ModelDataUrl": "s3://zoo/models/"}  # fmt: skip
    serve(rehearsal, "zoo", PrimaryContainer=container)
    for _ in range(2):
        for name, folder in (("iris", iris), ("line", line)):
            answer = rehearsal.invoke("zoo", json.dumps({"inputs": ROWS}).encode(), TargetModel=f"{name}.tar.gz")
            expected = load_model(folder, trust=TRUSTED).predict(ROWS)
            assert json.loads(answer["Body"].read())["predictions"] == pytest.approx([float(each) for each in expected])
    with pytest.raises(ClientError, match=r"client error \(4\d\d\) from primary"):
        rehearsal.invoke("zoo", b"not json", TargetModel="iris.tar.gz")
    rehearsal.delete("zoo")
