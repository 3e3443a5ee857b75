"""Preparing Keras' backend and the accelerators before the first computation."""

import os

import keras

from semisup.errors import UserError


def set_up(config):
    """Shares out the accelerators between backend and input pipeline, and makes them repeatable.

    Args:
        config: a `TrainConfig`; with `deterministic`, only kernels are taken that give the same
            bits every time. Processors do so anyway.
    """
    import tensorflow as tf

    if keras.backend.backend() == "tensorflow":
        for gpu in tf.config.list_physical_devices("GPU"):
            # So that a training and its evaluation fit on one GPU.
            tf.config.experimental.set_memory_growth(gpu, True)
            if config.deterministic:
                tf.config.experimental.enable_op_determinism()
        return
    # TensorFlow only feeds: it must not take the accelerator's memory.
    tf.config.set_visible_devices([], "GPU")
    # JAX would take three quarters of a GPU, and leave no room for an evaluation beside a training.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    flag = "--xla_gpu_deterministic_ops=true"
    if config.deterministic and flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def check_compilation(config):
    """Makes sure that a training can be compiled as it is asked for.

    Args:
        config: a `TrainConfig`.

    Raises:
        UserError: if XLA on a GPU is to give the same bits every time: under TensorFlow, it has no
            such kernel for max pooling.
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
