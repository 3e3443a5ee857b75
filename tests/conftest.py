"""What the tests share: a quiet TensorFlow, real data where it is given, subprocesses."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest


@pytest.fixture
def data_dir():
    """Folder of real TFDS data sets; the test is skipped where none is given."""
    path = os.environ.get("SEMISUP_DATA_DIR")
    if not path:
        pytest.skip("SEMISUP_DATA_DIR names no folder of TFDS data sets")
    return path
