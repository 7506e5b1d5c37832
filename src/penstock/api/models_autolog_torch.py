"""PyTorch's plain training loops, recorded: the loss at ``backward``, the learning rate at the optimizer's ``step``."""

from __future__ import annotations

import functools
import threading
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from penstock.api.active import client
from penstock.api.models_autolog import AUTOLOGGING, AutologOptions, Hooks, as_params, recording
from penstock.api.running import active_run, start_run
from penstock.api.tracking import log_metrics
from penstock.api.values import params_of


class _Loop(threading.local):
    """Where this thread's loop is: the run it is recorded to, its last loss, and how many steps were taken."""

    run_id: str | None = None
    loss: Any = None
    step: int = 0


_loop = _Loop()


class TorchHooks(Hooks):
    """The hooks on tensors, and PyTorch's own hook on every optimizer."""

    def __init__(self, options: AutologOptions) -> None:
        super().__init__()
        self.replace(torch.Tensor, "backward", _noting_loss)
        self._handle = register_optimizer_step_post_hook(
            lambda optimizer, _args, _keywords: _after_step(optimizer, options)
        )

    def remove(self) -> None:
        super().remove()
        self._handle.remove()


def hooks(flavor: str, options: AutologOptions) -> Hooks:
    """The hooks of a plain loop. The model is not logged by itself, for a loop never says that it is over."""
    return TorchHooks(options)


def _noting_loss(original: Any) -> Any:
    @functools.wraps(original)
    def backward(self: Any, *args: Any, **keywords: Any) -> Any:
        if self.ndim == 0:
            _loop.loss = self.detach()  # its number is asked for only when it is logged: asking waits for a GPU
        return original(self, *args, **keywords)

    return backward


def _after_step(optimizer: Any, options: AutologOptions) -> None:
    with recording("a training step"):
        run = active_run() or start_run(tags={AUTOLOGGING: "pytorch", **(options.extra_tags or {})})
        if run.info.run_id != _loop.run_id:
            _loop.run_id, _loop.step = run.info.run_id, 0
            settings = {"optimizer_name": type(optimizer).__name__, **optimizer.defaults}
            client().log_batch(run.info.run_id, params=params_of(as_params(settings)))
        if _loop.step % options.every_n_steps == 0:
            measured = {"learning_rate": float(optimizer.param_groups[0]["lr"])}
            if _loop.loss is not None:
                measured["loss"] = float(_loop.loss)
            log_metrics(measured, step=_loop.step)
        _loop.step += 1
