import itertools

import numpy as np
import pytest

from semisup.report import figures


def random_images(count, channels=1, size=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def random_probabilities(count, clusters, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(clusters), count)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def shown_rows(figure):
    """The images of a figure, by the top of their row and from the left."""
    rows = {}
    for image in figure.axes[0].images:
        left, _, _, top = image.get_extent()
        rows.setdefault(round(top, 4), []).append((left, np.asarray(image.get_array())[..., :3]))
    return {
        top: [image for _, image in sorted(row, key=lambda pair: pair[0])]
        for top, row in sorted(rows.items())
    }


def assert_texts_fit(figure):
    """Every text lies on the figure, and no two overlap."""
    figures.to_image(figure)
    renderer = figure.canvas.get_renderer()
    visible = [text for text in (*figure.axes[0].texts, *figure.texts) if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in visible]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
        for other in boxes[:i]:
            overlap_x = min(box.x1, other.x1) - max(box.x0, other.x0)
            overlap_y = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(overlap_x, overlap_y) <= 0


# Examples of clusters


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_hold_the_most_probable_members_first(channels):
    images = random_images(60, channels)
    probabilities = random_probabilities(60, 4)
    figure = figures.clusters_figure(images, probabilities, per_cluster=5)
    rows = list(shown_rows(figure).values())
    assert len(rows) == 4
    for cluster, row in enumerate(rows):
        members = [i for i in range(60) if max(probabilities[i]) == probabilities[i, cluster]]
        best = sorted(members, key=lambda i: -probabilities[i][cluster])[:5]
        assert len(row) == len(best)
        for image, index in zip(row, best, strict=True):
            np.testing.assert_array_equal(image, np.broadcast_to(images[index], (8, 8, 3)))


def test_probable_image_of_another_cluster_is_not_shown():
    probabilities = np.array([[0.55, 0.45], [0.9, 0.1], [0.6, 0.4], [0.49, 0.51]])
    figure = figures.clusters_figure(random_images(4), probabilities)
    assert [len(row) for row in shown_rows(figure).values()] == [3, 1]


def test_equally_probable_images_keep_their_order():
    images = random_images(30)
    figure = figures.clusters_figure(images, np.ones((30, 1)), per_cluster=4)
    (row,) = shown_rows(figure).values()
    np.testing.assert_array_equal(row, np.broadcast_to(images[:4], (4, 8, 8, 3)))


def test_sizes_count_all_members_and_an_empty_cluster_keeps_its_row():
    probabilities = np.repeat([[0.7, 0.0, 0.3], [0.1, 0.2, 0.7]], [1, 1_023], axis=0)
    figure = figures.clusters_figure(random_images(1_024, size=2), probabilities, title="step 9")
    assert texts(figure) == ["step 9", "0", "1 image", "1", "empty", "2", "1,023 images"]
    first, last = shown_rows(figure)
    heights = [text.get_position()[1] for text in figure.axes[0].texts]
    assert first < heights[2] < heights[3] < heights[4] < last
    assert_texts_fit(figure)


def test_given_names_stand_for_numbers():
    figure = figures.clusters_figure(
        random_images(9), random_probabilities(9, 3), names=["cat", "dog", "x" * 99]
    )
    assert texts(figure)[1:4:2] == ["cat", "dog"]
    assert_texts_fit(figure)


@pytest.mark.parametrize(("clusters", "columns"), [(20, 1), (25, 1), (26, 2), (43, 2), (100, 4)])
def test_many_clusters_are_set_in_columns_read_downwards(clusters, columns):
    images = np.arange(clusters, dtype=np.uint8).reshape(-1, 1, 1, 1)
    figure = figures.clusters_figure(images, np.eye(clusters), names=["name"] * clusters)
    places = {
        int(image.get_array()[0, 0, 0]): image.get_extent() for image in figure.axes[0].images
    }
    read = sorted(places, key=lambda cluster: (places[cluster][0], places[cluster][3]))
    assert read == list(range(clusters))
    assert len({place[0] for place in places.values()}) == columns
    if clusters < 50:  # Comparing the many texts pairwise takes long.
        assert_texts_fit(figure)


@pytest.mark.parametrize("shape", [(6, 30), (30, 6)])
def test_rows_of_images_that_are_not_square_do_not_overlap(shape):
    images = np.zeros((12, *shape, 3), np.uint8)
    figure = figures.clusters_figure(images, random_probabilities(12, 3), title="a title")
    extents = sorted({image.get_extent()[2:] for image in figure.axes[0].images}, reverse=True)
    for (lower_bottom, lower_top), (upper_bottom, _) in itertools.pairwise(extents):
        assert lower_bottom > lower_top > upper_bottom
    assert_texts_fit(figure)


def test_clusters_without_any_image_are_all_empty():
    figure = figures.clusters_figure(random_images(0), np.zeros((0, 3)))
    assert texts(figure).count("empty") == 3


def test_clusters_figure_refuses_what_does_not_fit():
    images, probabilities = random_images(6), random_probabilities(6, 3)
    for other in (probabilities[:5], probabilities[:, 0], probabilities[:, :0]):
        with pytest.raises(ValueError, match="for 6 images"):
            figures.clusters_figure(images, other)
    for other in (5 * probabilities, -probabilities, np.nan * probabilities):
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            figures.clusters_figure(images, other)
    with pytest.raises(ValueError, match="images must be uint8"):
        figures.clusters_figure(images / 255, probabilities)
    with pytest.raises(ValueError, match="2 names for 3 clusters"):
        figures.clusters_figure(images, probabilities, ["a", "b"])
    with pytest.raises(ValueError, match="per_cluster"):
        figures.clusters_figure(images, probabilities, per_cluster=0)


# Sizes of clusters


def sizes_of(clusters, steps=12, seed=0):
    shares = np.random.default_rng(seed).dirichlet(np.ones(clusters), steps)
    return 1 + (9_000 * shares).astype(int)


def test_bands_are_as_thick_as_the_shares():
    steps, sizes = np.array([100, 200, 400]), np.array([[1, 1, 2], [0, 8, 0], [10, 5, 5]])
    figure = figures.cluster_sizes_figure(steps, sizes)
    axes = figure.axes[0]
    expected = [[25, 25, 50], [0, 100, 0], [50, 25, 25]]
    assert len(axes.collections) == 3
    for cluster, band in enumerate(axes.collections):
        vertices = band.get_paths()[0].vertices
        for step, shares in zip(steps, expected, strict=True):
            assert np.ptp(vertices[vertices[:, 0] == step, 1]) == pytest.approx(shares[cluster])
    assert axes.get_xlim() == (100, 400)
    assert axes.get_ylim() == (0, 100)
    assert axes.get_xlabel() == "training step"
    assert axes.get_ylabel() == "share of the images (%)"


@pytest.mark.parametrize("clusters", [1, 10, 43])
def test_every_cluster_is_named_in_order_with_its_last_size(clusters):
    sizes = sizes_of(clusters)
    sizes[-1, 1:] = 0  # All names but the first want the same place.
    figure = figures.cluster_sizes_figure(100 * np.arange(12), sizes, "sizes", placed_at=500)
    named = figure.axes[0].texts[:clusters]
    assert [text.get_text() for text in named] == [
        f"{cluster}  ({size:,})" for cluster, size in enumerate(sizes[-1])
    ]
    heights = [text.get_position()[1] for text in named]
    assert np.all(np.diff(heights) > 0)
    assert_texts_fit(figure)


def test_names_stand_beside_bands_that_are_thick_enough():
    figure = figures.cluster_sizes_figure([0, 1], np.full((2, 4), 25))
    heights = [text.get_position()[1] for text in figure.axes[0].texts[:4]]
    assert heights == pytest.approx([12.5, 37.5, 62.5, 87.5])


@pytest.mark.parametrize("placed_at", [0, 1, 50, 550, 1_099, 1_100, 5_000])
def test_placing_of_centroids_is_marked_and_named(placed_at):
    figure = figures.cluster_sizes_figure(100 * np.arange(12), sizes_of(5), placed_at=placed_at)
    axes = figure.axes[0]
    marks = [line for line in axes.lines if list(line.get_xdata()) == [placed_at] * 2]
    assert len(marks) == 1
    assert f"k-means, step {placed_at:,}" in texts(figure)
    assert axes.get_xlim() == (0, max(1_100, placed_at))
    assert_texts_fit(figure)


def test_nothing_is_marked_by_default():
    figure = figures.cluster_sizes_figure(np.arange(12), sizes_of(5))
    assert not any("k-means" in text for text in texts(figure))


def test_cluster_sizes_figure_refuses_what_does_not_fit():
    sizes = sizes_of(5, steps=3)
    for steps in ([1], [1, 3, 3], [[1, 2, 3]]):
        with pytest.raises(ValueError, match="steps must be at least two and ascend"):
            figures.cluster_sizes_figure(steps, sizes)
    for other in (sizes[:2], sizes[:, 0], sizes[:, :0]):
        with pytest.raises(ValueError, match="for 3 steps"):
            figures.cluster_sizes_figure([1, 2, 3], other)
    for other in (sizes / 2, -sizes, sizes * [[1], [0], [1]]):
        with pytest.raises(ValueError, match="integer counts"):
            figures.cluster_sizes_figure([1, 2, 3], other)


# Centroids in a t-SNE


def test_landmarks_lie_on_top_large_outlined_and_in_the_look_of_their_class():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(48, 2)), np.arange(48) % 12
    landmarks, landmark_labels = rng.normal(size=(12, 2)), np.arange(12)
    names = [f"class {label}" for label in range(13)]
    plain = figures.tsne_figure(points, labels, names)
    figure = figures.tsne_figure(points, labels, names, "", landmarks, landmark_labels)
    below = figure.axes[0].collections[: len(plain.axes[0].collections)]
    above = figure.axes[0].collections[len(below) :]
    looks = {}
    for collection in below:
        marker = collection.get_paths()[0].vertices.tobytes()
        for point, colour in zip(
            collection.get_offsets(), collection.get_facecolors(), strict=True
        ):
            looks[tuple(point)] = marker, tuple(colour[:3])
    assert len(above) == 12
    for label, collection in enumerate(above):
        np.testing.assert_array_equal(collection.get_offsets(), [landmarks[label]])
        marker, colour = looks[tuple(points[label])]
        assert collection.get_paths()[0].vertices.tobytes() == marker
        assert tuple(collection.get_facecolors()[0][:3]) == colour
        assert tuple(collection.get_edgecolors()[0]) == (0, 0, 0, 1)
        assert collection.get_sizes()[0] > 3 * below[0].get_sizes()[0]
        assert collection.get_zorder() > max(other.get_zorder() for other in below)


def test_legend_names_centroids_and_the_classes_of_empty_clusters():
    figure = figures.tsne_figure(
        np.eye(2), np.array([0, 0]), ["a", "b", "c"], "", np.eye(2), np.array([0, 2])
    )
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["a", "c", "centroids"]


def test_tsne_figure_refuses_landmarks_that_do_not_fit():
    points, labels, names = np.zeros((3, 2)), np.zeros(3, int), ["a"]
    with pytest.raises(ValueError, match="together"):
        figures.tsne_figure(points, labels, names, landmarks=points)
    with pytest.raises(ValueError, match=r"landmarks must be \(n, 2\)"):
        figures.tsne_figure(points, labels, names, "", points, labels[:2])
    with pytest.raises(ValueError, match=r"labels of landmarks must be in \[0, 1\)"):
        figures.tsne_figure(points, labels, names, "", points, labels + 1)


# All figures


def draw_clusters():
    return figures.clusters_figure(random_images(40, 3), random_probabilities(40, 5), title="a")


def draw_sizes():
    return figures.cluster_sizes_figure(np.arange(12), sizes_of(12), "b", 4)


def draw_tsne():
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.arange(60) % 12
    names = [str(i) for i in range(12)]
    return figures.tsne_figure(points, labels, names, "t-SNE", points[:12], labels[:12])


@pytest.mark.parametrize("draw", [draw_clusters, draw_sizes, draw_tsne])
def test_equal_inputs_give_files_of_equal_bytes(draw, tmp_path):
    first = figures.save(draw(), tmp_path / "first.png").read_bytes()
    assert figures.save(draw(), tmp_path / "second.png").read_bytes() == first
