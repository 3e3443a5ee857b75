"""Tests of the clustering model: its loss against NumPy, its centroids, what reaches what."""

import keras
import numpy as np
import pytest
import running

from clustering import ClusteringModel
from clustering.centroids import PlaceCentroids, k_means
from clustering.schedules import Phases
from semisup.association import Association
from semisup.augmentation import RandomWindow
from semisup.errors import TrainingError
from semisup.models.optimizers import RestartableAdam

CLUSTERS, COPIES, CENTROIDS, WIDTH = 3, 2, 2, 4


@keras.saving.register_keras_serializable(package="test")
class Shift(keras.layers.Layer):
    """Adds 0, 1, 2, ... to the images of a batch: an augmentation without chance."""

    def call(self, images, training=False):
        count = keras.ops.shape(images)[0]
        return images + keras.ops.reshape(keras.ops.arange(count, dtype="float32"), (-1, 1, 1, 1))

    def compute_output_shape(self, input_shape):
        return input_shape


def network(batch_normalization=False, size=5):
    layers = [keras.Input((size, size, 1)), keras.layers.Flatten()]
    layers += [keras.layers.Rescaling(1 / 255), keras.layers.Dense(WIDTH)]
    if batch_normalization:
        layers.append(keras.layers.BatchNormalization())
    return keras.Sequential(layers)


def build(image_size=5, batch_normalization=False, running_as=running.FEW_STEPS, **arguments):
    keras.utils.set_random_seed(0)
    model = ClusteringModel(
        network(batch_normalization),
        CLUSTERS,
        **{
            "augmentation": Shift(),
            "augmentations_per_image": COPIES,
            "centroids_per_cluster": CENTROIDS,
            **arguments,
        },
    )
    model.build((None, image_size, image_size, 1))
    model.compile(RestartableAdam(1e-2), **running_as)
    return model


def images(seed=0, count=6, size=5):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 1)).astype("uint8")


def train(model, batch, steps):
    batches = np.concatenate([batch] * steps)
    model.fit(batches, batch_size=len(batch), shuffle=False, verbose=0)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def logged(model):
    return model.latest_values.read()


def softmax(matrix):
    powers = np.exp(matrix - matrix.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def naive_association(a, b, labels):
    p_ab, p_ba = softmax(a @ b.T), softmax(b @ a.T)
    walker = 0.0
    for i, row in enumerate(p_ab @ p_ba):
        same = [j for j in range(len(labels)) if labels[j] == labels[i]]
        walker -= np.mean([np.log(row[j] + 1e-8) for j in same])
    visit = -np.mean(np.log(p_ab.mean(axis=0) + 1e-8))
    return walker / len(a), visit


@pytest.mark.backend
def test_every_loss_and_their_weighted_sum_equal_those_of_numpy():
    model = build(
        cluster_association=Association(1.5, 0.3, measure="dot"),
        augmentation_association=Association(0.9, 0.7, measure="dot"),
        norm_weight=0.01,
        norm_target=2.0,
        transformation_weight=0.2,
        classification_weight=0.5,
        classifier_regularizer=keras.regularizers.L2(0.1),
    )
    batch = images()
    kernel, bias = (array(weight) for weight in model.network.weights)
    flat = batch.reshape(len(batch), -1).astype("float64")
    copies = np.repeat(flat, COPIES, axis=0) + np.arange(COPIES * len(batch))[:, None]
    plain, copies = (points / 255 @ kernel + bias for points in (flat, copies))
    centroids = array(model.centroids)
    classifier, classifier_bias = (array(weight) for weight in model.classifier.weights)
    labels = np.repeat(np.arange(CLUSTERS), CENTROIDS)

    def log_probabilities(points):
        return np.log(softmax(points @ classifier + classifier_bias))

    expected = {}
    for name, a, groups in (
        ("cluster", centroids, labels),
        ("augmentation", copies, np.repeat(np.arange(len(batch)), COPIES)),
    ):
        walker, visit = naive_association(a, plain, groups)
        expected[f"{name}_walker_loss"], expected[f"{name}_visit_loss"] = walker, visit
    expected["norm_loss"] = sum(
        (np.linalg.norm(point) - 2.0) ** 2 for point in (*plain, *copies, *centroids)
    )
    expected["classification_loss"] = -np.mean(
        log_probabilities(centroids)[np.arange(len(labels)), labels]
    )
    first = copies[::COPIES]
    entropies = -np.exp(log_probabilities(plain)) @ log_probabilities(first).T
    expected["transformation_loss"] = np.abs(1 - plain @ first.T - entropies).mean()
    expected["regularization_loss"] = 0.1 * np.sum(classifier**2)
    weights = {
        "cluster_walker_loss": 1.5,
        "cluster_visit_loss": 0.3,
        "augmentation_walker_loss": 0.9,
        "augmentation_visit_loss": 0.7,
        "norm_loss": 0.01,
        "transformation_loss": 0.2,
        "classification_loss": 0.5,
        "regularization_loss": 1.0,
    }
    expected["total_loss"] = sum(weights[name] * loss for name, loss in expected.items())
    train(model, batch, 1)
    found = logged(model)
    for name, loss in expected.items():
        assert found[name] == pytest.approx(loss, rel=1e-4), name


def test_images_do_not_reach_the_classifier_without_the_transformation_loss():
    model = build(cluster_association=Association(0.0, 0.0), norm_weight=0.0)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [array(variable) for variable in variables]
    kernels = []
    for seed in (0, 1):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        train(model, images(seed), 1)
        kernels.append(array(model.classifier.kernel))
    np.testing.assert_array_equal(*kernels)


@pytest.mark.backend
def test_centroids_of_a_cluster_that_start_on_one_point_stay_together_and_others_part():
    model = build(running_as=running.TRACED)
    for noise, together in ((0.0, True), (0.1, False)):
        centers = np.random.default_rng(3).normal(size=(CLUSTERS, WIDTH))
        model.place_centroids(centers, noise, np.random.default_rng(4))
        train(model, images(), 30)
        first, second = array(model.centroids)[:CENTROIDS]
        assert (np.abs(first - second).max() < 1e-6) == together
        assert np.abs(array(model.centroids)[0] - centers[0]).max() > 1e-2, "it is trained"


def test_placed_centroids_lie_around_their_points_in_the_order_of_the_labels():
    model = build()
    assert int(array(model.centroids_placed)) == 0
    centers = 10.0 * np.arange(CLUSTERS)[:, None] * np.ones(WIDTH)
    model.place_centroids(centers, 0.1, np.random.default_rng(0))
    distance = np.abs(array(model.centroids) - centers[model.centroid_labels])
    assert 0.01 < distance.max() <= 0.1
    assert int(array(model.centroids_placed)) == 1


def test_initial_centroids_depend_on_the_seed_alone():
    same, other = build(seed=1), build(seed=2)
    np.testing.assert_array_equal(array(build(seed=1).centroids), array(same.centroids))
    assert np.abs(array(other.centroids) - array(same.centroids)).max() > 0.1


@pytest.mark.backend
def test_a_model_that_fit_builds_has_the_same_initial_centroids():
    keras.utils.set_random_seed(0)
    arguments = {"centroids_per_cluster": CENTROIDS, "seed": 1}
    model = ClusteringModel(network(), CLUSTERS, **arguments)
    model.compile("sgd", **running.FEW_STEPS)
    model.optimizer.learning_rate = 0.0
    train(model, images(), 1)
    np.testing.assert_array_equal(array(model.centroids), array(build(seed=1).centroids))


def test_a_network_that_is_not_built_yet_is_built_for_the_windows():
    layers = [keras.layers.Flatten(), keras.layers.Dense(WIDTH)]
    model = ClusteringModel(keras.Sequential(layers), CLUSTERS, window=RandomWindow(4, seed=0))
    model.build((None, 6, 6, 1))
    assert model.network.input_shape == (None, 4, 4, 1)


def test_weights_follow_their_schedules():
    model = build(classification_weight=Phases(0.0, 0.5, 2))
    seen = []
    for _ in range(4):
        train(model, images(), 1)
        seen.append(logged(model)["classification_loss_weight"])
    np.testing.assert_allclose(seen, [0, 0, 0.5, 0.5])


@pytest.mark.backend
@pytest.mark.parametrize("joint", [False, True])
def test_batch_statistics_are_of_each_batch_alone_unless_joint(joint):
    model = build(batch_normalization=True, joint_batch_statistics=joint)
    plain = array(model(images(), training=True)["plain"])
    together = np.concatenate(list(map(array, model(images(), training=True).values())))
    means = together.mean(axis=0) if joint else plain.mean(axis=0)
    np.testing.assert_allclose(means, 0.0, atol=1e-5)
    assert (np.abs(plain.mean(axis=0)).max() > 1e-3) == joint


@pytest.mark.backend
def test_training_cuts_windows_at_random_and_prediction_in_the_centre():
    model = build(image_size=9, window=RandomWindow(5, seed=0), augmentation=None)
    batch = images(size=9)
    centre = build(augmentation=None)
    centre.set_weights(
        [array(weight) for weight in model.weights if "seed_generator" not in weight.path]
    )
    np.testing.assert_allclose(
        model.predict(batch, verbose=0), centre.predict(batch[:, 2:7, 2:7], verbose=0), rtol=1e-5
    )
    same = np.repeat(batch[:1], 40, axis=0)
    plain = array(model(same, training=True)["plain"])
    assert len(np.unique(plain.round(4), axis=0)) > 10


@pytest.mark.backend
def test_evaluation_measures_what_needs_neither_labels_nor_copies():
    model = build(norm_weight=0.01, cluster_association=Association(measure="dot"))
    batch = images()
    found = model.evaluate(batch, batch_size=len(batch), verbose=0, return_dict=True)
    logits, centroids = model.predict(batch, verbose=0), array(model.centroids)
    embeddings = array(model.embed(batch))
    labels = np.repeat(np.arange(CLUSTERS), CENTROIDS)
    walker, visit = naive_association(centroids, embeddings, labels)
    assert found["cluster_walker_loss"] == pytest.approx(walker, rel=1e-4)
    assert found["cluster_visit_loss"] == pytest.approx(visit, rel=1e-4)
    assert found["confidence"] == pytest.approx(softmax(logits).max(axis=1).mean(), rel=1e-5)
    shares = np.bincount(logits.argmax(axis=1), minlength=CLUSTERS) / len(batch)
    entropy = -sum(share * np.log(share) for share in shares if share) / np.log(CLUSTERS)
    assert found["size_entropy"] == pytest.approx(entropy, abs=1e-5)
    assert not any("augmentation" in name or "transformation" in name for name in found)
    again = model.evaluate(batch, batch_size=len(batch), verbose=0, return_dict=True)
    assert again == found


@pytest.mark.backend
def test_validation_leaves_the_values_of_the_training_alone():
    def fit(**validation):
        keras.utils.set_random_seed(0)
        model = build()
        return model.fit(images(), epochs=2, shuffle=False, verbose=0, **validation).history

    alone, validated = fit(), fit(validation_data=images())
    assert {name: validated[name] for name in alone} == alone
    assert len(validated["val_confidence"]) == 2
    assert "confidence" not in alone


@pytest.mark.backend
def test_a_saved_model_is_the_same_again(tmp_path):
    model = build(norm_weight=Phases(0.1, 0.2, 3), window=RandomWindow(5, seed=0))
    train(model, images(), 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(images(), verbose=0), model.predict(images(), verbose=0), rtol=1e-6
    )
    np.testing.assert_array_equal(array(loaded.centroids), array(model.centroids))
    parts = ("network", "augmentation", "window", "classifier")
    ours, theirs = ({**each.get_config(), **dict.fromkeys(parts)} for each in (model, loaded))
    assert ours == theirs


@pytest.mark.parametrize(
    "arguments", [{"augmentations_per_image": 0}, {"centroids_per_cluster": 0}]
)
def test_numbers_of_copies_and_centroids_below_1_are_refused(arguments):
    with pytest.raises(ValueError, match="at least 1"):
        build(**arguments)


@pytest.mark.parametrize("name", ["loss", "loss_weights", "metrics", "weighted_metrics"])
def test_compile_refuses_what_would_compare_clusters_with_labels(name):
    model = ClusteringModel(network(), CLUSTERS)
    with pytest.raises(ValueError, match=f"ClusteringModel takes no {name}: "):
        model.compile("adam", **{name: "mse"})


@pytest.mark.backend
@pytest.mark.parametrize("labels", [None, np.arange(6) % 3], ids=["unlabelled", "labelled"])
def test_weights_of_images_and_of_classes_are_refused_by_name_and_by_position(labels):
    model, data, weights = build(), (images(), labels), np.zeros(6)
    of_classes = {0: 0.0, 1: 0.0, 2: 0.0}
    for call in (
        lambda: model.fit(*data, sample_weight=weights, verbose=0),
        lambda: model.fit(*data, class_weight=of_classes, verbose=0),
        lambda: model.fit(*data, 6, 1, 0, None, 0.0, None, True, None, weights),
        lambda: model.evaluate(*data, sample_weight=weights, verbose=0),
        lambda: model.evaluate(*data, None, 0, weights),
        lambda: model.train_on_batch(*data, None, of_classes),
        lambda: model.train_on_batch(*data, weights),
        lambda: model.test_on_batch(*data, weights),
    ):
        with pytest.raises(ValueError, match="takes no sample_weight and no class_weight"):
            call()


@pytest.mark.backend
def test_fit_alone_passes_through_both_phases():
    placed = []
    phase = Phases(0.0, 1.0, 4)
    model = build(
        running_as=running.TRACED,
        cluster_association=Association(phase, phase),
        classification_weight=phase,
        augmentation_association=Association(),
    )
    batch = images()
    before = array(model.centroids).copy()
    callback = PlaceCentroids(batch, step=4, noise=0.01, seed=3, on_placed=placed.append)
    history = model.fit(
        batch, batch_size=len(batch) // 2, epochs=3, shuffle=False, verbose=0, callbacks=[callback]
    ).history
    assert history["cluster_walker_loss_weight"] == [0.0, 0.0, 1.0]
    assert int(array(model.centroids_placed)) == 1
    assert len(placed) == 1
    assert placed[0]["k_means_squared_distance"] > 0
    assert np.abs(array(model.centroids) - before).max() > 0.1
    kept = array(model.centroids).copy()
    model.fit(batch, epochs=0, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(array(model.centroids), kept)


def test_centroids_that_a_restored_model_has_already_are_not_placed_again():
    class Restore(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.step.assign(9)
            self.model.centroids_placed.assign(1)

    placed, batch = [], images()
    callback = PlaceCentroids(batch, step=1, on_placed=placed.append)
    build().fit(batch, epochs=2, shuffle=False, verbose=0, callbacks=[callback, Restore()])
    assert placed == []


@pytest.mark.backend
def test_centroids_are_placed_by_examples_that_are_a_dictionary_of_arrays():
    generator = np.random.default_rng(0)
    tall, wide = (generator.normal(size=(30, size)).astype("float32") for size in (2, 3))
    rows = {"tall": tall, "wide": wide}
    inputs = {name: keras.Input(part.shape[1:], name=name) for name, part in rows.items()}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    model = ClusteringModel(keras.Model(inputs, joined), 2)
    model.compile(keras.optimizers.SGD(0.0), **running.FEW_STEPS)
    callback = PlaceCentroids(rows, step=1, noise=0.0, batch_size=7)
    model.fit(rows, batch_size=15, verbose=0, callbacks=[callback])
    centres = k_means(np.concatenate([tall, wide], axis=1), 2, seed=0).cluster_centers_
    np.testing.assert_allclose(
        np.unique(array(model.centroids).round(4), axis=0),
        np.unique(centres.round(4), axis=0),
        atol=2e-4,
    )


@pytest.mark.backend
@pytest.mark.parametrize("structure", [list, tuple])
def test_centroids_are_placed_by_examples_that_are_a_list_or_a_tuple_of_arrays(structure):
    rows = structure(np.random.default_rng(0).normal(size=(30, size)) for size in (2, 2))
    inputs = [keras.Input(part.shape[1:]) for part in rows]
    model = ClusteringModel(keras.Model(inputs, keras.layers.Concatenate()(inputs)), 2)
    model.compile(keras.optimizers.SGD(0.0), **running.FEW_STEPS)
    callback = PlaceCentroids(rows, step=0, noise=0.0)
    model.fit(rows, batch_size=30, verbose=0, callbacks=[callback])
    joined = np.concatenate(rows, axis=1).astype("float32")
    centres = k_means(joined, 2, seed=0).cluster_centers_
    np.testing.assert_allclose(array(model.centroids)[::4], centres, atol=1e-5)


def test_centroids_are_not_placed_by_what_is_no_array():
    import tensorflow as tf

    rows = np.zeros((9, 2))
    for given in (tf.data.Dataset.from_tensor_slices(rows), rows.tolist(), [], None):
        with pytest.raises(TypeError, match=f"images are a {type(given).__name__}: give Place"):
            PlaceCentroids(given, step=1)


@pytest.mark.backend
@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, RestartableAdam])
def test_the_centroids_of_a_model_that_is_not_built_are_placed_before_the_first_step(optimizer):
    rows = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")
    model = ClusteringModel(keras.layers.Identity(), 2)
    model.compile(optimizer(0.0), **running.TRACED)
    model.fit(rows, verbose=0, callbacks=[PlaceCentroids(rows, step=0, noise=0.0)])
    centres = k_means(rows, 2, seed=0).cluster_centers_
    np.testing.assert_allclose(array(model.centroids)[::4], centres, atol=1e-5)


def test_centroids_are_not_placed_before_the_training():
    with pytest.raises(ValueError, match="step is -1: give the steps taken before, at least 0"):
        PlaceCentroids(np.zeros((9, 2)), step=-1)


def test_fewer_images_than_clusters_are_refused_before_the_first_step():
    model = build()
    with pytest.raises(ValueError, match=r"centroids of 3 clusters by 2 images.*at least 3"):
        model.fit(images(), verbose=0, callbacks=[PlaceCentroids(images(count=2), step=400)])
    assert int(array(model.step)) == 0


def test_k_means_of_embeddings_that_are_not_finite_advises_in_words_and_no_flag():
    model = build()
    callback = PlaceCentroids(images() * np.nan, step=0)
    with pytest.raises(TrainingError, match="a lower learning rate may help"):
        model.fit(images(), verbose=0, callbacks=[callback])
