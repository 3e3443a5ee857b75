"""Tests of the curves of results: what a figure shows, what is missing, when it is drawn."""

from pathlib import Path

import pytest

from scripts import curves, published
from scripts import results as script
from scripts.rows import Row, collected

ROOT = Path(__file__).resolve().parents[2]


def row_of(paper, table, setting, method, *kept, values=None, step=100, changes=(), **run):
    """A row of a number whose runs have these curves; None: a run without one."""
    number = next(
        number
        for number in published.numbers()
        if (number.paper, number.table, number.setting) == (paper, table, setting)
        if number.recipe and number.method == method
    )
    run = {"step": step, "recipe": number.recipe, "note": "", "settings": {}, **run}
    runs = tuple({**run, **({"curve": curve} if curve else {})} for curve in kept)
    values = values or (1.0,) * len(runs)
    return Row(number, number.recipe, changes, number.metric, values, runs, Path("results"))


def errors(*values):
    return {"test_error": {str(100 * (place + 1)): value for place, value in enumerate(values)}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the figures, in a folder of the test."""
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    return tmp_path / "curves"


def test_a_setting_is_a_panel_in_which_each_method_has_all_its_runs_and_its_number():
    pair = "MNIST to MNIST-M"
    rows = [
        row_of("iccv17", "2", pair, "source only", errors(0.5, 0.25), errors(0.75, 0.5)),
        row_of("iccv17", "2", pair, "DA_MMD", errors(0.5, 0.125)),
        row_of("iccv17", "2", "SVHN to MNIST", "DA_MMD", errors(0.5, 0.25), comparable=False),
    ]
    (found,) = curves.of_tables(rows)
    assert found.path.name == "iccv17_2.png"
    first, second = found.panels
    assert (first.setting, first.measure) == (pair, "test error")
    mmd, source = first.lines
    assert (mmd.method, mmd.published, mmd.runs) == ("DA_MMD", 22.9, [[(100, 50.0), (200, 12.5)]])
    assert (source.published, len(source.runs)) == (35.96, 2)
    assert second.lines[0].published is None, "it does not compare"


def test_what_has_no_curve_is_left_out_and_named():
    rows = [
        row_of("cvpr17", "1", "MNIST, 100 labels", "ours", errors(0.5, 0.25), None),
        row_of("cvpr17", "1", "MNIST, 1,000 labels", "ours", None, note="half of it"),
        row_of("cvpr17", "4", "MNIST, 1,000 labels, visit weight 0", "ours", None),
    ]
    first, fourth = curves.of_tables(rows)
    assert len(first.panels[0].lines[0].runs) == 1
    assert first.without == ["MNIST, 1,000 labels (half of it)"]
    assert fourth.panels == []
    text = curves.markdown(rows, script.RESULTS)
    assert "![Learning by Association (CVPR 2017), table 1](curves/cvpr17_1.png)" in text
    assert "Without a curve in" in text
    assert text.endswith("these tables: Learning by Association (CVPR 2017), table 4.")


def test_of_rows_on_the_same_data_the_one_closest_to_a_full_measurement_is_shown():
    place = "cvpr17", "1", "MNIST, 100 labels", "ours"
    rows = [
        row_of(*place, errors(0.5, 0.25), step=300, changes=("max_steps=300",)),
        row_of(*place, errors(0.5, 0.125), step=900, changes=("max_steps=900",)),
        row_of(*place, errors(0.5, 0.75), note="half of it"),
    ]
    (found,) = curves.of_tables(rows)
    assert [panel.data for panel in found.panels] == ["", "half of it"]
    assert found.panels[0].lines[0].runs[0][-1] == (200, 12.5)


def test_a_clusterings_curve_is_its_confidence_once_and_without_a_published_accuracy():
    kept = {"confidence": {"100": 0.5, "200": 0.75}}
    rows = [row_of("adc18", "1", "MNIST", "VCNN", kept)]
    best = next(
        number for number in published.numbers() if number.statistic == "best" and number.own
    )
    rows.append(Row(best, best.recipe, (), "accuracy", (1.0,), rows[0].runs, Path("results")))
    (found,) = curves.of_tables(rows)
    (panel,) = found.panels
    assert panel.measure == "confidence"
    (line,) = panel.lines
    assert (line.published, line.runs) == (None, [[(100, 50.0), (200, 75.0)]])


def test_a_figure_is_drawn_again_only_when_it_shows_something_else(folder):
    place = "cvpr17", "1", "MNIST, 100 labels", "ours"
    rows = [row_of(*place, errors(0.5, 0.25))]
    folder.mkdir()
    (folder / "cvpr17_9.png").write_bytes(b"of nothing any more")
    assert curves.draw(rows) == [folder / "cvpr17_1.png"]
    assert [path.name for path in folder.iterdir()] == ["cvpr17_1.png"]
    assert curves.draw(rows) == []
    # An error of 0 has no place on a logarithmic axis.
    assert curves.draw([row_of(*place, errors(0.5, 0.0))]) == [folder / "cvpr17_1.png"]


def test_the_committed_figures_show_the_committed_curves():
    shown = [found for found in curves.of_tables(collected(list(script.rows()))) if found.panels]
    stale = [found.path for found in shown if not found.is_drawn]
    assert not stale, "run python -m scripts.tables"
    files = set((ROOT / "results" / "curves").glob("*.png"))
    assert files == {found.path for found in shown}
