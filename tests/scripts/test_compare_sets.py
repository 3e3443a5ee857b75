"""Test of the comparison of data sets, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_classifier_does_better_on_the_set_that_it_was_trained_on(tmp_path):
    output = tmp_path / "results" / "digits.json"
    arguments = ["mnist_5k", "--also", "optdigits", "--steps=60", f"--output={output}"]
    script = ROOT / "scripts" / "compare_sets.py"
    result = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(output.read_text())
    assert found["train_images"] == 4000
    assert found["test_images"] == {"mnist_5k": 1000, "optdigits": 359}
    errors = found["errors"]["mnist_5k"]
    assert errors["mnist_5k"] < 0.3
    assert errors["mnist_5k"] < errors["optdigits"]
    # 28 x 28 digits of MNIST: the mean of the whole set is 33.3.
    assert 25 < found["statistics"]["mnist_5k"]["mean"][0] < 42
    assert f"{100 * errors['mnist_5k']:.2f} % on mnist_5k" in result.stdout
