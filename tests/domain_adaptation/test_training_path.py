"""The first training step of MNIST to MNIST-M's recipe, against NumPy.

Network and batches in float64: variance normalisation, inversion in both domains, ELU embedding,
association, halved L2, Adam's epsilon.
"""

from pathlib import Path

import numpy as np
import pytest
import running
from keras import ops

import domain_adaptation
from domain_adaptation.config import TrainConfig
from domain_adaptation.task import TASK as task
from semisup.cli import flags

RECIPES = Path(domain_adaptation.__file__).parent / "recipes"
SIZE = 16


def config(*overrides):
    argv = ["train", "--recipe=mnist_to_mnist_m", *overrides]
    return flags.parse(argv, TrainConfig, recipes=RECIPES)


def built(settings):
    model = task.build_model(settings, running.record((SIZE, SIZE, 3), 3))
    model.run_eagerly = running.FEW_STEPS.get("run_eagerly", False)
    return model


def batch(seed=0):
    """Grey source images and coloured target images of another size, and the source's labels."""
    generator = np.random.default_rng(seed)
    source = generator.integers(0, 256, (6, 12, 12, 1), dtype=np.uint8)
    target = generator.integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)
    return (source, target), np.array([0, 0, 1, 1, 2, 2], "int32")


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def convolve(x, kernel, bias):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = x.shape[1:3]
    return bias + sum(
        padded[:, i : i + rows, j : j + columns] @ kernel[i, j] for i in range(3) for j in range(3)
    )


def numpy_embeddings(weights, images):
    """The network of `svhn_model`, from its weights in the order in which they are used."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    x = (images - mean) / (images.var(axis=(1, 2), keepdims=True) + 1e-5)
    weights = iter(weights)
    for _ in range(3):
        for _ in range(3):
            x = elu(convolve(x, next(weights), next(weights)))
        half = x.shape[1] // 2
        x = x.reshape(len(x), half, 2, half, 2, -1).max(axis=(2, 4))
    return elu(x.reshape(len(x), -1) @ next(weights) + next(weights))


def softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(target, probabilities):
    logits = np.log(probabilities + 1e-8)
    return np.mean(np.sum(target * (np.log(np.exp(logits).sum(-1, keepdims=True)) - logits), -1))


def numpy_association(a, b, labels):
    p_ab, p_ba = softmax(a @ b.T), softmax(b @ a.T)
    same = (labels[:, None] == labels[None]).astype(float)
    walker = cross_entropy(same / same.sum(axis=1, keepdims=True), p_ab @ p_ba)
    visit = cross_entropy(np.full((1, len(b)), 1 / len(b)), p_ab.mean(axis=0, keepdims=True))
    return walker, visit


def numpy_weights(layer):
    return [ops.convert_to_numpy(weight).astype("float64") for weight in layer.weights]


@pytest.mark.backend
def test_the_losses_of_the_recipes_first_steps_are_those_of_numpy():
    settings = config("--augmentation=none", "--walker_weight_envelope_delay=0")
    model = built(settings)
    (source, target), labels = batch()
    images = ops.convert_to_numpy(
        ops.concatenate([model.prepare(source), model.prepare(target)])
    ).astype("float64")
    assert np.ptp(images[:6], axis=-1).max() == 0, "grey images are repeated"
    np.testing.assert_array_equal(images[6:], target)

    network, classifier = numpy_weights(model.network), numpy_weights(model.classifier)
    embeddings = numpy_embeddings(network, images)
    a, b = embeddings[:6], embeddings[6:]
    logits = a @ classifier[0] + classifier[1]
    walker, visit = numpy_association(a, b, labels)
    expected = {
        "classification_loss": -np.mean(np.log(softmax(logits)[np.arange(6), labels])),
        "walker_loss": walker,
        "visit_loss": visit,
        # The authors' L2 is half the sum of squares: 1e-4 for every kernel.
        "regularization_loss": 0.5e-4
        * sum(np.sum(w**2) for w in [*network, *classifier] if w.ndim > 1),
    }
    logs = model.train_on_batch((source, target), labels, return_dict=True)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=2e-4), name
    assert logs["total_loss"] == pytest.approx(
        # Both weights grow in one step, from none at step 0; the visit loss' waits until 500.
        expected["classification_loss"] + expected["regularization_loss"],
        rel=2e-4,
    )
    logs = model.train_on_batch((source, target), labels, return_dict=True)
    assert logs["walker_loss_weight"] == 1
    assert logs["visit_loss_weight"] == 0


def test_the_first_update_is_adams_with_the_released_epsilon():
    settings = config("--augmentation=none", "--clip_norm=0")
    model = built(settings)
    (source, target), labels = batch()
    before = numpy_weights(model.classifier)[1]
    logits = ops.convert_to_numpy(model(source)).astype("float64")
    gradient = np.mean(softmax(logits) - np.eye(3)[labels], axis=0)
    model.train_on_batch((source, target), labels)
    after = numpy_weights(model.classifier)[1]
    # With the moments' bias corrected; TensorFlow adds epsilon before that correction.
    root = np.sqrt(1 - 0.999)
    expected = -1e-4 * gradient / (np.abs(gradient) + 1e-8 / root)
    np.testing.assert_allclose(after - before, expected, rtol=1e-3)
    assert model.optimizer.epsilon == 1e-8


@pytest.mark.backend
def test_half_of_the_images_of_both_domains_are_inverted_in_training_only(monkeypatch):
    model = built(config())
    images = np.random.default_rng(1).integers(0, 256, (200, SIZE, SIZE, 3)).astype("float32")
    shown = ops.convert_to_numpy(model.augmentation(images, training=True))
    inverted = np.isclose(shown, 255 - images, atol=1e-3).all(axis=(1, 2, 3))
    kept = np.isclose(shown, images, atol=1e-3).all(axis=(1, 2, 3))
    assert np.all(inverted ^ kept)
    assert 70 < inverted.sum() < 130
    np.testing.assert_array_equal(ops.convert_to_numpy(model.augmentation(images)), images)

    seen = []

    def spy(images, training=None):
        seen.append((images.shape[0], training))
        return images

    monkeypatch.setitem(vars(model.augmentation), "call", spy)
    model(batch()[0], training=True)
    assert seen == [(11, True)], "one pass over source and target together"
