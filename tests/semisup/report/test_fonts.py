"""Tests of names in figures: every script, formulas, control characters, missing fonts."""

import unicodedata
import warnings

import matplotlib
import numpy as np
import pictures
import pytest
from matplotlib import font_manager

from semisup.report.figures import clusters, confusion, drawing, fonts, marginals, tsne

ODD = [
    "$x_1$",
    "a$b",
    r"back\$slash",
    "_hidden",
    "new\nline",
    "caf\udce9",
    "n" * 300,
    "\x1b[31m",
    "",
]
FOREIGN = ["\U000f4240\U000f4241", "\U000f4242", "\U000f4240"]
"""Names in characters that no font has, but for one that a test makes."""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Forgets what is known of this machine's fonts, before and after."""

    def forget():
        for function in (fonts._family, fonts._regular, fonts._characters, drawing._width):
            function.cache_clear()

    forget()
    monkeypatch.setattr(fonts, "_told", [])
    yield
    monkeypatch.undo()
    forget()


def confusion_of(names):
    count = len(names)
    images = np.zeros((count, 4, 4, 1), np.uint8)
    return confusion.confusion_figure(
        images, np.arange(count), np.zeros(count, int), names, "Error"
    )


def every_figure(names):
    count = len(names)
    points = np.random.default_rng(0).normal(size=(count, 2))
    runs = [({"s": name, "n": i}, float(i)) for i, name in enumerate(names * 2)]
    return [
        confusion_of(names),
        tsne.tsne_figure(points, np.arange(count), names),
        tsne.tsne_grid([("", points)], {"by class": (np.arange(count), names)}),
        clusters.clusters_figure(np.zeros((count, 4, 4, 1), np.uint8), np.eye(count), names),
        marginals.marginal_figure(runs, "accuracy"),
    ]


def test_every_name_is_drawn_as_text_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in every_figure([*ODD, "猫", "قطة"]):
            assert pictures.pixels(figure).std() > 0


def test_a_formula_is_shown_as_it_is_written():
    name = confusion_of(["$x_1$", "b"]).axes[1].get_xticklabels()[0].get_text()
    plain, is_formula = matplotlib.text.Text()._preprocess_math(name)
    assert (plain, is_formula) == ("$x_1$", False)


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    figure = tsne.tsne_figure(np.eye(2), np.arange(2), ["_hidden", "b"])
    pictures.pixels(figure)
    assert [text.get_text().strip() for text in figure.axes[0].get_legend().get_texts()] == [
        "_hidden",
        "b",
    ]


def test_names_that_no_font_has_are_told_of_in_one_line(caplog, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in every_figure(FOREIGN):
            pictures.pixels(figure)
    (record,) = caplog.records
    assert "no font of this machine has the characters" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert fonts.drawable("a\U000f4240") == "a□"


def test_a_font_that_was_installed_since_draws_what_it_has(tmp_path, monkeypatch):
    ttlib = pytest.importorskip("fontTools.ttLib")
    font = ttlib.TTFont(font_manager.findfont("DejaVu Sans"))
    for table in font["cmap"].tables:
        table.cmap = {0xF4240: "A", 0xF4241: "B"} if table.format == 12 else {}
    for record in font["name"].names:
        if record.nameID in (1, 4, 6, 16):
            record.string = "Invented"
    path = tmp_path / "invented.ttf"
    font.save(path)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(path)])
    kept = list(font_manager.fontManager.ttflist)
    try:
        assert fonts.families("\U000f4240a") == ["Invented"]
        assert fonts.drawable("\U000f4240\U000f4242") == "\U000f4240□"
        narrow, wide = (
            drawing.text_width([text], 9) for text in ("\U000f4240", "\U000f4240\U000f4241")
        )
        assert wide > 1.5 * narrow
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for figure in every_figure(["\U000f4240", "\U000f4241\U000f4240"]):
                pictures.pixels(figure)
    finally:
        font_manager.fontManager.ttflist[:] = kept


def test_an_arrow_leads_from_the_true_class_in_scripts_from_right_to_left_too():
    bidi = unicodedata.bidirectional
    captions = [text.get_text() for text in confusion_of(["ا", "ب", "c"]).axes[0].texts]
    (caption,) = (text for text in captions if text.startswith("\u200eب") and "→" in text)
    before, after = caption.split("→")
    # A mark from left to right on either side keeps the order of what is between.
    assert [bidi(part[0]) for part in (before, after)] == ["L", "L"]
