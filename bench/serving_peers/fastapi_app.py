"""What a careful person writes by hand: FastAPI, pydantic, a frame, predict. ``python fastapi_app.py FOLDER PORT``."""

import io
import pickle
import sys
from pathlib import Path

import pandas as pd
import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel

with (Path(sys.argv[1]) / "model.pkl").open("rb") as stream:
    MODEL = pickle.load(stream)
NAMES = getattr(MODEL, "feature_names_in_", None)
app = FastAPI()


class Body(BaseModel):
    inputs: list[list[float]]


@app.get("/ping")
def ping() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/invocations")
async def invocations(body: Body) -> dict[str, list[float]]:
    rows = pd.DataFrame(body.inputs, columns=NAMES) if NAMES is not None else body.inputs
    return {"predictions": MODEL.predict(rows).tolist()}


@app.post("/csv")
async def csv(request: Request) -> dict[str, list[float]]:
    frame = pd.read_csv(io.BytesIO(await request.body()))
    return {"predictions": MODEL.predict(frame if NAMES is not None else frame.to_numpy()).tolist()}


@app.post("/parquet")
async def parquet(request: Request) -> dict[str, list[float]]:
    frame = pd.read_parquet(io.BytesIO(await request.body()))
    return {"predictions": MODEL.predict(frame if NAMES is not None else frame.to_numpy()).tolist()}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
