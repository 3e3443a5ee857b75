import numpy as np
import pytest

from semisup.report.figures import clusters, drawing, tsne


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


# Examples of clusters


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_hold_the_most_probable_members_first(channels):
    images = random_images(60, channels)
    probabilities = random_probabilities(60, 4)
    figure = clusters.clusters_figure(images, probabilities, range(4))
    rows = list(shown_rows(figure).values())
    assert len(rows) == 4
    for cluster, row in enumerate(rows):
        members = [i for i in range(60) if max(probabilities[i]) == probabilities[i, cluster]]
        best = sorted(members, key=lambda i: -probabilities[i][cluster])[:10]
        assert len(row) == len(best)
        for image, index in zip(row, best, strict=True):
            np.testing.assert_array_equal(image, np.broadcast_to(images[index], (8, 8, 3)))


def test_probable_image_of_another_cluster_is_not_shown():
    probabilities = np.array([[0.55, 0.45], [0.9, 0.1], [0.6, 0.4], [0.49, 0.51]])
    figure = clusters.clusters_figure(random_images(4), probabilities, "ab")
    assert [len(row) for row in shown_rows(figure).values()] == [3, 1]


def test_equally_probable_images_keep_their_order():
    images = random_images(30)
    figure = clusters.clusters_figure(images, np.ones((30, 1)), ["all"])
    (row,) = shown_rows(figure).values()
    np.testing.assert_array_equal(row, np.broadcast_to(images[:10], (10, 8, 8, 3)))


def test_sizes_count_all_members_and_an_empty_cluster_keeps_its_row():
    probabilities = np.repeat([[0.7, 0.0, 0.3], [0.1, 0.2, 0.7]], [1, 1_023], axis=0)
    figure = clusters.clusters_figure(random_images(1_024, size=2), probabilities, "abc")
    assert texts(figure) == ["a", "1 image", "b", "empty", "c", "1,023 images"]
    first, last = shown_rows(figure)
    heights = [text.get_position()[1] for text in figure.axes[0].texts]
    assert first < heights[1] < heights[2] < heights[3] < last


@pytest.mark.parametrize(("count", "columns"), [(20, 1), (25, 1), (26, 2), (43, 2), (100, 4)])
def test_many_clusters_are_set_in_columns_read_downwards(count, columns):
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    figure = clusters.clusters_figure(images, np.eye(count), ["name"] * count)
    places = {
        int(image.get_array()[0, 0, 0]): image.get_extent() for image in figure.axes[0].images
    }
    read = sorted(places, key=lambda cluster: (places[cluster][0], places[cluster][3]))
    assert read == list(range(count))
    assert len({place[0] for place in places.values()}) == columns


def test_clusters_without_any_image_are_all_empty():
    figure = clusters.clusters_figure(random_images(0), np.zeros((0, 3)), "abc")
    assert texts(figure).count("empty") == 3


# Sizes of clusters


def sizes_of(count, steps=12, seed=0):
    shares = np.random.default_rng(seed).dirichlet(np.ones(count), steps)
    return 1 + (9_000 * shares).astype(int)


def test_bands_are_as_thick_as_the_shares():
    steps, sizes = np.array([100, 200, 400]), np.array([[1, 1, 2], [0, 8, 0], [10, 5, 5]])
    figure = clusters.cluster_sizes_figure(steps, sizes)
    axes = figure.axes[0]
    expected = [[25, 25, 50], [0, 100, 0], [50, 25, 25]]
    assert len(axes.collections) == 3
    for cluster, band in enumerate(axes.collections):
        vertices = band.get_paths()[0].vertices
        for step, shares in zip(steps, expected, strict=True):
            assert np.ptp(vertices[vertices[:, 0] == step, 1]) == pytest.approx(shares[cluster])
    assert axes.get_xlim() == (100, 400)
    assert axes.get_ylim() == (0, 100)
    assert not axes.lines
    # From the top, as the bands are.
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["2  (5)", "1  (5)", "0  (10)"]


@pytest.mark.parametrize("placed_at", [0, 50, 1_100, 5_000])
def test_placing_of_centroids_is_marked_and_named(placed_at):
    figure = clusters.cluster_sizes_figure(100 * np.arange(12), sizes_of(5), placed_at)
    axes = figure.axes[0]
    marks = [line for line in axes.lines if list(line.get_xdata()) == [placed_at] * 2]
    assert len(marks) == 1
    assert f"k-means, step {placed_at:,}" in texts(figure)
    assert axes.get_xlim() == (0, max(1_100, placed_at))


def test_sizes_at_a_single_step_are_no_figure():
    with pytest.raises(ValueError, match="two evaluations"):
        clusters.cluster_sizes_figure(np.array([1]), sizes_of(5, steps=1))


# Centroids in a t-SNE


def test_landmarks_lie_on_top_large_outlined_and_in_the_look_of_their_class():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(48, 2)), np.arange(48) % 12
    landmarks, landmark_labels = rng.normal(size=(12, 2)), np.arange(12)
    names = [f"class {label}" for label in range(13)]
    plain = tsne.tsne_figure(points, labels, names)
    figure = tsne.tsne_figure(points, labels, names, "", landmarks, landmark_labels)
    below = figure.axes[0].collections[: len(plain.axes[0].collections)]
    above = figure.axes[0].collections[len(below) :]
    looks = {}
    for collection in below:
        marker = collection.get_paths()[0].vertices.tobytes()
        for point, colour in zip(
            collection.get_offsets(), collection.get_facecolors(), strict=True
        ):
            looks[tuple(point)] = marker, tuple(colour[:3])
    # The last is that of the legend.
    assert len(above) == 12 + 1
    for label, collection in enumerate(above[:-1]):
        np.testing.assert_array_equal(collection.get_offsets(), [landmarks[label]])
        marker, colour = looks[tuple(points[label])]
        assert collection.get_paths()[0].vertices.tobytes() == marker
        assert tuple(collection.get_facecolors()[0][:3]) == colour
        assert tuple(collection.get_edgecolors()[0]) == (0, 0, 0, 1)
        assert collection.get_sizes()[0] > 3 * below[0].get_sizes()[0]
        assert collection.get_zorder() > max(other.get_zorder() for other in below)


def test_legend_names_centroids_and_the_classes_of_empty_clusters():
    figure = tsne.tsne_figure(
        np.eye(2), np.array([0, 0]), ["a", "b", "c"], "", np.eye(2), np.array([0, 2])
    )
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["a", "c", "centroids"]


# All figures


def draw_clusters():
    return clusters.clusters_figure(random_images(40, 3), random_probabilities(40, 5), range(5))


def draw_sizes():
    return clusters.cluster_sizes_figure(np.arange(12), sizes_of(12), 4)


@pytest.mark.parametrize("draw", [draw_clusters, draw_sizes])
def test_equal_inputs_give_files_of_equal_bytes(draw, tmp_path):
    first = drawing.save(draw(), tmp_path / "first.png").read_bytes()
    assert drawing.save(draw(), tmp_path / "second.png").read_bytes() == first
