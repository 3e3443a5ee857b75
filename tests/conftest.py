"""What the tests share: a quiet TensorFlow, real data where it is given, a trained run."""

import gc
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if os.environ.get("KERAS_BACKEND") == "jax":
    # Two devices on one processor; a training takes the first unless it is told otherwise.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=2"
elif os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    import tensorflow as tf

    # Likewise, for strategies.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )

import pytest

from semisup.cli import terminal

# What is imported lives as long as the tests: see `pytest_collection_finish`.
gc.disable()

# Tests see what the commands print, and `caplog` what reaches the root logger.
terminal.show_messages()
for name in terminal.LOGGERS:
    logging.getLogger(name).propagate = True


def pytest_ignore_collect(collection_path, config):
    """Leave out files without any test for all backends, where no other is asked for.

    What they import takes seconds.
    """
    asked = config.getoption("markexpr").startswith("backend")
    if asked and collection_path.suffix == ".py":
        return True if "mark.backend" not in collection_path.read_text("utf-8") else None
    return None


def pytest_collection_finish():
    """Look for cycles among what the tests make, less often than by default.

    What the libraries made lives as long as the tests: hundreds of thousands of objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture
def data_dir():
    """Folder of real TFDS data sets; the test is skipped where none is given."""
    path = os.environ.get("SEMISUP_DATA_DIR")
    if not path:
        pytest.skip("SEMISUP_DATA_DIR names no folder of TFDS data sets")
    return path


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A complete run of 60 steps on labelled and unlabelled images, which no test may change."""
    import running

    status, run = running.train(tmp_path_factory.mktemp("whole"))
    assert status == 0
    return run


@pytest.fixture
def quick_tsne(monkeypatch):
    """Principal components in place of t-SNE, which takes seconds and has tests of its own."""
    from sklearn import decomposition, manifold

    monkeypatch.setattr(manifold, "TSNE", lambda **settings: decomposition.PCA(2))
