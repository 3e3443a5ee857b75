"""Tests of the notebook: its cells run, and what is kept of their outputs is theirs."""

import json
import math
from pathlib import Path

import pytest
import running

from scripts import notebook

PATH = Path(__file__).resolve().parents[2] / "docs" / "few_labels.ipynb"
CONTENT = json.loads(PATH.read_text(encoding="utf-8"))
CELLS = notebook.code_cells(CONTENT)

# It reads folders by `tf.data`, which the commands' backends have.
pytestmark = running.needs_commands


@pytest.fixture
def eager():
    """Two steps take less time than to compile them."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


# The eagerness of `tf.data` does not matter.
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_the_cells_run_on_an_example_and_export_what_they_trained(tmp_path, monkeypatch, eager):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTEBOOK_STEPS", "2")
    monkeypatch.setenv("NOTEBOOK_IMAGES", "15")
    content = json.loads(json.dumps(CONTENT))
    names = notebook.run(content)
    assert len(names["answers"]) == len(names["asked"]) > 0
    assert (tmp_path / "classifier.keras").exists()
    assert math.isclose(names["sure"].sum(), 1, rel_tol=1e-5)
    drawn = [len(cell["outputs"]) for cell in notebook.code_cells(content)]
    assert drawn == [len(cell["outputs"]) for cell in CELLS]


def test_the_kept_outputs_are_those_of_one_run_without_an_error():
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    kinds = [output["output_type"] for cell in CELLS for output in cell["outputs"]]
    assert set(kinds) == {"stream", "display_data"}
    for cell in CELLS:
        if "print(" in "".join(cell["source"]):
            assert cell["outputs"]


def test_the_kept_outputs_belong_to_the_code_that_is_kept():
    assert CONTENT["metadata"]["source"] == notebook.digest(CONTENT)


def test_the_file_is_small():
    assert PATH.stat().st_size < 500_000


def test_an_error_in_a_cell_is_raised():
    content = {"cells": [{"cell_type": "code", "source": ["1 / 0\n"]}]}
    with pytest.raises(ZeroDivisionError):
        notebook.run(content)
