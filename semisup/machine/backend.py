"""The preparation of Keras' backend and of accelerators before the first computation."""

import contextlib
import os

import keras

from semisup.errors import UserError
from semisup.machine import hosts
from semisup.machine.environment import devices_text

_NVIDIA = "/dev/nvidia0"


def set_up(config):
    """Share out the accelerators between backend and input pipeline, and make them repeatable.

    Args:
        config: a `TrainConfig`; with `deterministic`, only kernels that give the same bits every
            time are used. Processors always give the same bits.
    """
    import tensorflow as tf

    if keras.backend.backend() == "tensorflow":
        for gpu in tf.config.list_physical_devices("GPU"):
            # Let a training and its evaluation fit on one GPU.
            tf.config.experimental.set_memory_growth(gpu, True)
            if config.deterministic:
                tf.config.experimental.enable_op_determinism()
        return
    # TensorFlow only feeds the data, and must not take the accelerator's memory.
    tf.config.set_visible_devices([], "GPU")
    # JAX would take three quarters of a GPU, and leave no room for an evaluation beside a training.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    flag = "--xla_gpu_deterministic_ops=true"
    if config.deterministic and flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def describe(hardware):
    """Describe what a training computes on, and what keeps it from a GPU that is there.

    Args:
        hardware: what `environment.hardware` returned.
    """
    text = devices_text(hardware)
    is_hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hardware["accelerators"] or is_hidden or not os.path.exists(_NVIDIA):
        return text
    extra = "gpu" if keras.backend.backend() == "tensorflow" else "jax-gpu"
    return f"{text}, not on the NVIDIA GPU (that takes pip install '.[{extra}]')"


def check_compilation(config):
    """Check that a training can be compiled as requested.

    Args:
        config: a `TrainConfig`.

    Raises:
        UserError: if XLA on a GPU is to give the same bits every time, since under TensorFlow it
            has no such kernel for max pooling.
    """
    import tensorflow as tf

    if (
        keras.backend.backend() == "tensorflow"
        and config.deterministic
        and config.jit_compile == "on"
        and tf.config.get_visible_devices("GPU")
    ):
        raise UserError(
            "--jit_compile=on has no deterministic max pooling on a GPU under TensorFlow; add "
            "--nodeterministic"
        )


@contextlib.contextmanager
def shared_batches(config):
    """Build the models of a block on several devices, each of which takes a part of every batch.

    They are those of this machine, and as many of each other host: see `hosts`.

    All devices have the same weights. A loss that compares all images of a batch, as associations
    do, is computed over the whole batch, not over each part.

    Args:
        config: a `TrainConfig`, whose `devices` is the number of devices of each host; a single
            one changes nothing.

    Raises:
        UserError: if the backend cannot do so, or there are fewer devices.
    """
    if config.devices * hosts.count() == 1:
        yield
        return
    if keras.backend.backend() != "jax":
        raise UserError(
            f"--devices={config.devices} needs JAX: set KERAS_BACKEND=jax "
            f"(this is {keras.backend.backend()})"
        )
    used = [device for host in _devices_of_hosts() for device in _first(host, config.devices)]
    # What the pipeline reads is this host's share already.
    distribution = keras.distribution.DataParallel(devices=used, auto_shard_dataset=False)
    with distribution.scope():
        yield


def _devices_of_hosts():
    """Return the names of the devices of each host."""
    import jax

    found = {}
    for device in jax.devices():
        name = f"{device.platform}:{device.id}"
        found.setdefault(device.process_index, []).append(name)
    return [found[host] for host in sorted(found)]


def _first(found, count):
    """Return the first devices of a host, if it has so many."""
    if len(found) < count:
        raise UserError(f"--devices={count}: JAX finds {len(found)}, {', '.join(found)}")
    return found[:count]


def sharing_devices():
    """Return the number of devices that share batches at present: see `shared_batches`."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def check_batch(named_images):
    """Check that the devices can share a batch evenly.

    Args:
        named_images: the images of a batch by their kind.

    Raises:
        UserError: if the number of some images is no multiple of the number of devices.
    """
    devices, count = sharing_devices(), hosts.count()
    own = f"--devices={devices // count}"
    given = f"{own} does" if count == 1 else f"--hosts={count} times {own} do"
    for kind, images in named_images.items():
        if len(images) % devices:
            raise UserError(f"{given} not divide the {len(images)} {kind} images of a batch")
