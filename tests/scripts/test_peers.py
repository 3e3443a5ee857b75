"""Tests of the step in PyTorch: it is ours, and what it cannot take is refused."""

import importlib.util

import numpy as np
import pytest
import running

from scripts import peers
from semisup.config import TrainConfig
from semisup.errors import UserError


@pytest.mark.backend
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_steps_in_pytorch_have_our_losses(compiled):
    pytest.importorskip("torch")
    from semisup.task import TASK as task

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (15, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(10, dtype="int32")
    batch = ((images[:10], images[10:]), labels)
    config = TrainConfig(visit_weight=0.5, logit_weight=2.0)
    model = task.build_model(config, running.record((28, 28, 1), 10))
    take = peers.torch_steps(model, config, batch, compiled)
    ours = [model.train_on_batch(*batch, return_dict=True) for _ in range(3)]
    assert [take(1) for _ in range(3)] == pytest.approx(
        [logs["total_loss"] for logs in ours], rel=1e-3
    )


def test_a_step_that_pytorch_is_not_measured_with_is_refused():
    with pytest.raises(UserError, match=r"--peers measures steps with --augmentation=none alone"):
        peers.check(TrainConfig(augmentation="affine"))


def test_pytorch_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"PyTorch: pip install '\.\[torch\]'"):
        peers.check(TrainConfig())
