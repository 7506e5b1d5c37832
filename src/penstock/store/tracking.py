"""Tracking, whole: experiments, runs, what they log and read and make."""

from __future__ import annotations

from penstock.store.experiments import Experiments
from penstock.store.inputs import Inputs
from penstock.store.logged_models import LoggedModels
from penstock.store.metrics import Metrics
from penstock.store.runs import Runs
from penstock.store.together import Batches


class TrackingStore(Experiments, Runs, Batches, Metrics, Inputs, LoggedModels):
    """Every method that tracking has; each noun's are in its own module."""
