"""Preparing Keras' backend and the accelerators before the first computation."""

import os

import keras


def set_up(deterministic):
    """Shares out the accelerators between backend and input pipeline, and makes them repeatable.

    Args:
        deterministic: whether to take only kernels that give the same bits every time. Processors
            do so anyway.
    """
    import tensorflow as tf

    if keras.backend.backend() == "tensorflow":
        for gpu in tf.config.list_physical_devices("GPU"):
            # So that a training and its evaluation fit on one GPU.
            tf.config.experimental.set_memory_growth(gpu, True)
            if deterministic:
                tf.config.experimental.enable_op_determinism()
        return
    # TensorFlow only feeds: it must not take the accelerator's memory.
    tf.config.set_visible_devices([], "GPU")
    flag = "--xla_gpu_deterministic_ops=true"
    if deterministic and flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
