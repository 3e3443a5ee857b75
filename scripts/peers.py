"""The training step of the MNIST recipes in PyTorch, as its users would write it.

`benchmark.py --peers` lets it take turns with ours: same weights, batch, losses and optimizer.
"""

import functools
import importlib.util

import numpy as np

from semisup.errors import UserError

# What the step in PyTorch knows; other settings change its numbers alone.
_SETTINGS = {
    "architecture": "mnist_model",
    "normalization": "auto",
    "trainable": "all",
    "head_units": -1,
    "augmentation": "none",
    "similarity": "association",
    "similarity_measure": "dot",
    "temperature": 1.0,
    "memory": 0,
    "average_decay": 0.0,
}


def check(config):
    """Check that a `TrainConfig` has the step that PyTorch is measured with, and that it is there.

    Raises:
        UserError: if not.
    """
    for name, value in _SETTINGS.items():
        if getattr(config, name) != value:
            raise UserError(f"--peers measures steps with --{name}={value} alone")
    if importlib.util.find_spec("torch") is None:
        raise UserError("--peers needs PyTorch: pip install '.[torch]'")


def torch_steps(model, config, batch, compiled):
    """Return the step in PyTorch, channels last, with fused Adam and automatic mixed precision.

    Args:
        model: a compiled `AssociativeModel` of the network `mnist_model`, whose weights are copied.
        config: its `TrainConfig`.
        batch: NumPy batch ((labelled_images, unlabelled_images), labels).
        compiled: whether `torch.compile` makes one program of network and losses.

    Returns:
        Function that takes a number of steps and returns the loss of the last.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, penalties = _network(model)
    network.to(device, memory_format=torch.channels_last)
    (labelled, unlabelled), labels = batch
    images = torch.from_numpy(np.concatenate([labelled, unlabelled])).permute(0, 3, 1, 2)
    images = images.to(device, memory_format=torch.channels_last)
    labels = torch.from_numpy(labels).to(device, torch.int64)
    ours = model.optimizer
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=config.learning_rate,
        betas=(ours.beta_1, ours.beta_2),
        eps=ours.epsilon,
        fused=True,
    )
    loss_of = functools.partial(_total_loss, network, penalties, config)
    if compiled:
        loss_of = torch.compile(loss_of)
    mixed = config.precision == "bfloat16"

    def take(count):
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16, enabled=mixed):
                loss = loss_of(images, labels)
            loss.backward()
            if config.clip_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
        # An accelerator goes on after the call has returned: wait for the last step.
        return loss.item()

    return take


def _network(model):
    """Return embedder and classifier of a model in PyTorch, and pairs of a kernel and its L2."""
    import torch

    embedder, penalties = torch.nn.Sequential(), []

    def module(layer, make, kernel):
        made = make(*kernel.shape[1::-1])
        with torch.no_grad():
            made.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            made.bias.copy_(torch.from_numpy(np.asarray(layer.bias)))
        penalties.append((made.weight, float(getattr(layer.kernel_regularizer, "l2", 0.0))))
        return made

    convolution = functools.partial(torch.nn.Conv2d, kernel_size=3, padding="same")
    for layer in model.network.layers:
        if layer.name.startswith("conv"):
            kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
            embedder.extend([module(layer, convolution, kernel), torch.nn.ELU()])
        elif layer.name.startswith("pool"):
            embedder.append(torch.nn.MaxPool2d(2))
    layer = model.network.get_layer("embedding")
    # PyTorch flattens channels before places.
    places = model.network.get_layer("flatten").input.shape[1:]
    kernel = np.asarray(layer.kernel).reshape(*places, -1).transpose(3, 2, 0, 1)
    kernel = kernel.reshape(len(kernel), -1)
    embedder.extend([torch.nn.Flatten(), module(layer, torch.nn.Linear, kernel), torch.nn.ELU()])
    classifier = module(model.classifier, torch.nn.Linear, np.asarray(model.classifier.kernel).T)
    return torch.nn.ModuleDict({"embedder": embedder, "classifier": classifier}), penalties


def _total_loss(network, penalties, config, images, labels):
    import torch
    from torch.nn import functional

    embeddings = network["embedder"](images.float() / 255)
    logits = network["classifier"](embeddings[: len(labels)]).float()
    loss = config.logit_weight * functional.cross_entropy(logits, labels)
    a, b = embeddings.float().split([len(labels), len(images) - len(labels)])
    with torch.autocast(images.device.type, enabled=False):
        walker, visit = _association(a, b, labels)
    loss = loss + config.walker_weight * walker + config.visit_weight * visit
    return loss + sum(weight * kernel.square().sum() for kernel, weight in penalties)


def _association(a, b, labels):
    """Return walker and visit loss of float32 embeddings (thesis eq. 3 and 4)."""
    import torch

    from semisup.association import EPSILON

    similarities = a @ b.T
    to_unlabelled = similarities.softmax(1)
    round_trips = to_unlabelled @ similarities.T.softmax(1)
    same = (labels[:, None] == labels).float()
    targets = same / same.sum(1, keepdim=True)
    walker = -(targets * torch.log(round_trips + EPSILON)).sum(1).mean()
    visit = -torch.log(to_unlabelled.mean(0) + EPSILON).mean()
    return walker, visit
