"""Tests of the moving averages of weights."""

import keras
import numpy as np
import pytest
import running

from semisup.errors import UserError
from semisup.models.associative import AssociativeModel
from semisup.models.averaging import (
    EvaluateAveragedWeights,
    WeightAverage,
    averaged_weights,
    put_average,
)
from semisup.run import checkpoints


def network(momentum=0.9):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Normalization(mean=0.3, variance=0.7),
            layers.Dense(8, name="first"),
            layers.BatchNormalization(momentum=momentum, name="statistics"),
            layers.Dense(4),
        ]
    )


def made(average_decay=0.5, momentum=0.9, **options):
    keras.utils.set_random_seed(0)
    model = AssociativeModel(network(momentum), 3, similarity=None, average_decay=average_decay)
    model.build((None, 6))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), **running.TRACED, **options)
    model.optimizer.build(model.trainable_variables)
    return model


def batches(first, last):
    """Inputs and labels of the steps that lie between two numbers of steps taken."""
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(20, 8, 6)).astype("float32")
    return inputs[first:last], generator.integers(0, 3, (20, 8))[first:last]


def train(model, steps, first=0):
    inputs, labels = batches(first, first + steps)
    model.fit(
        inputs.reshape(-1, 6), labels.reshape(-1), batch_size=8, shuffle=False, verbose=0, epochs=1
    )


def take_step(model, step):
    """Trains from a number of steps to the next, in less time than `fit` takes to begin."""
    (inputs,), (labels,) = batches(step, step + 1)
    model.train_on_batch(inputs, labels)


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def tracked(model):
    return [*model.trainable_variables, *model.network.get_layer("statistics").variables]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def blended(average, latest, decay, step):
    kept = min(decay, (1 + step) / (10 + step))
    return [kept * old + (1 - kept) * new for old, new in zip(average, latest, strict=True)]


@pytest.mark.parametrize("decay", [0.25, 0.9])
def test_average_decays_faster_at_first(decay):
    model = made(decay)
    average = values(model.trainable_variables)
    for step in range(6):
        take_step(model, step)
        latest = values(model.trainable_variables)
        average = blended(average, latest, decay, step + 1)
        with averaged_weights(model):
            for found, wanted in zip(values(model.trainable_variables), average, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        assert_equal(values(model.trainable_variables), latest)


@pytest.mark.parametrize(
    ("decay", "expected"), [(0.5, 0.0), pytest.param(0.999, None, marks=pytest.mark.backend)]
)
def test_statistics_become_as_old_as_the_average_of_the_weights(decay, expected):
    # Momentum 0.5 makes statistics 1 step old, as decay 0.5 makes weights.
    model = made(decay, momentum=0.5)
    layer = model.network.get_layer("statistics")
    statistics = [layer.moving_mean, layer.moving_variance]
    average = None

    def advanced(average, latest, step):
        kept = min(decay, (1 + step) / (10 + step))
        steps = max(kept / (1 - kept) - 1, 0)
        kept = steps / (1 + steps)
        assert expected is None or kept == expected
        return [kept * old + (1 - kept) * new for old, new in zip(average, latest, strict=True)]

    # The weights of step 0 give the statistics that there are after step 1.
    for step in range(12):
        take_step(model, step)
        latest = values(statistics)
        average = advanced(average, latest, step) if step else latest
        with averaged_weights(model):
            found, wanted = values(statistics), advanced(average, latest, step + 1)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert_equal(values(statistics), latest)


def test_what_never_changes_is_averaged_to_its_very_bits():
    model = made(0.9)
    constants = model.network.layers[0].variables
    before = values(constants)
    train(model, 12)
    with averaged_weights(model):
        assert_equal(values(constants), before)


def test_before_the_first_step_the_weights_are_their_average():
    model = made()
    before = values(model.variables)
    with averaged_weights(model):
        assert_equal(values(model.variables), before)
    put_average(model)
    assert_equal(values(model.variables), before)


@pytest.mark.backend
def test_an_average_that_took_the_weights_place_begins_again_with_them():
    model = made(0.9)
    train(model, 6)
    with averaged_weights(model):
        average = values(tracked(model))
    put_average(model)
    assert_equal(values(tracked(model)), average)
    put_average(model)
    assert_equal(values(tracked(model)), average)
    train(model, 1, 6)
    fresh = made(0.9)
    for variable, value in zip(fresh.variables, values(model.variables), strict=True):
        variable.assign(value)
    with averaged_weights(model):
        ours = values(model.trainable_variables)
    raw = values(model.trainable_variables)
    count = len(raw)
    for found, old, new in zip(ours, average[:count], raw, strict=True):
        np.testing.assert_allclose(found, 2 / 11 * old + 9 / 11 * new, rtol=1e-4, atol=1e-6)


@pytest.mark.backend
@running.several_steps_at_once
def test_average_is_the_same_when_several_steps_are_executed_at_once():
    averages = []
    for steps in (1, 4):
        model = made(0.9, steps_per_execution=steps)
        train(model, 8)
        with averaged_weights(model):
            averages.append(values(tracked(model)))
    for one, several in zip(*averages, strict=True):
        np.testing.assert_allclose(one, several, rtol=1e-5, atol=1e-6)


@pytest.mark.backend
def test_a_training_that_is_taken_up_again_averages_to_the_same_bits(tmp_path):
    whole = made(0.9)
    train(whole, 4)
    checkpoints.save(whole, tmp_path, 4, keep=1)
    train(whole, 4, first=4)
    resumed = made(0.9)
    assert checkpoints.restore_latest(resumed, tmp_path) == 4
    train(resumed, 4, first=4)
    assert_equal(values(whole.variables), values(resumed.variables))


def test_average_survives_in_a_keras_file(tmp_path):
    model = made(0.9)
    train(model, 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    with averaged_weights(model), averaged_weights(loaded):
        assert_equal(values(model.trainable_variables), values(loaded.trainable_variables))


@pytest.mark.backend
def test_validation_sees_the_average_and_the_training_does_not():
    plain, model = made(0.9), made(0.9)
    generator = np.random.default_rng(2)
    test = generator.normal(size=(30, 6)).astype("float32"), generator.integers(0, 3, 30)
    predicted = []

    class Look(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            predicted.append(values(self.model.trainable_variables))

    train(plain, 4)
    inputs = np.random.default_rng(1).normal(size=(20, 8, 6)).astype("float32")
    generator = np.random.default_rng(1)
    generator.normal(size=(20, 8, 6))
    labels = generator.integers(0, 3, (20, 8))
    model.fit(
        inputs[:4].reshape(-1, 6),
        labels[:4].reshape(-1),
        batch_size=8,
        shuffle=False,
        verbose=0,
        validation_data=test,
        callbacks=[Look(), EvaluateAveragedWeights()],
    )
    assert_equal(values(plain.trainable_variables), values(model.trainable_variables))
    with averaged_weights(plain):
        assert_equal(values(plain.trainable_variables), predicted[0])
        expected = plain.predict(test[0], verbose=0)
    found = model.predict(test[0], verbose=0, callbacks=[EvaluateAveragedWeights()])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert_equal(values(plain.trainable_variables), values(model.trainable_variables))


def test_a_training_after_an_interrupted_evaluation_goes_on_with_the_weights_as_they_were():
    class Interrupt(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model, evaluation = made(), EvaluateAveragedWeights()
    take_step(model, 0)
    (inputs,), (labels,) = batches(0, 1)
    before = values(model.trainable_variables)
    with pytest.raises(KeyboardInterrupt):
        model.evaluate(inputs, labels, verbose=0, callbacks=[evaluation, Interrupt()])
    assert not np.array_equal(values(model.trainable_variables)[0], before[0])
    model.fit(inputs, labels, epochs=0, verbose=0, callbacks=[evaluation])
    assert_equal(values(model.trainable_variables), before)

    # What was loaded meanwhile stays.
    with pytest.raises(KeyboardInterrupt):
        model.evaluate(inputs, labels, verbose=0, callbacks=[evaluation, Interrupt()])
    loaded = [np.full_like(value, 0.5) for value in before]
    for weight, value in zip(model.trainable_variables, loaded, strict=True):
        weight.assign(value)
    model.fit(inputs, labels, epochs=0, verbose=0, callbacks=[evaluation])
    assert_equal(values(model.trainable_variables), loaded)


@pytest.mark.backend
def test_any_keras_model_can_keep_an_average():
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = network()
            self.average = WeightAverage(self, 0.5)

        def build(self, input_shape):
            self.average.track(self.weights)

        def call(self, inputs, training=False):
            return self.inner(inputs, training=training)

        def compute_loss(self, *args, training=True, **options):
            loss = super().compute_loss(*args, training=training, **options)
            if training:
                self.average.update()
            return loss

    keras.utils.set_random_seed(0)
    model = Plain()
    model.build((None, 6))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, **running.TRACED)
    kernel = model.inner.get_layer("first").kernel
    (average,) = values([kernel])
    for step in range(3):
        take_step(model, step)
        kept = (2 + step) / (11 + step)
        average = kept * average + (1 - kept) * values([kernel])[0]
    with averaged_weights(model):
        np.testing.assert_allclose(values([kernel])[0], average, rtol=1e-5, atol=1e-6)


@pytest.mark.backend
def test_an_adapter_that_comes_after_the_average_is_refused(tmp_path):
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    rows, labels = np.ones((6, 4), "float32"), np.array([0, 1, 0, 1, 0, 1])

    def trained():
        model = AssociativeModel(plain, 2, average_decay=0.9)
        model.compile("sgd")
        model.fit((rows, rows), labels, verbose=0)
        return model

    before = trained()
    plain.layers[-1].enable_lora(2)
    with pytest.raises(ValueError, match="lora_kernel_a came after the model"):
        before.compile("sgd")
    after = trained()
    after.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    logits = [model.predict(rows, verbose=0) for model in (loaded, after)]
    np.testing.assert_allclose(*logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [-0.5, 1.0])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="between 0 and 1"):
        made(decay)


def earlier_checkpoint(model, folder):
    """A checkpoint as it was when the optimizer kept the average, and that average."""
    named = checkpoints.named_variables(model)
    own = {id(variable) for variable in model.average.variables}
    arrays = {name: values([v])[0] for name, v in named.items() if id(v) not in own}
    averages = []
    for variable in model.trainable_variables:
        averages.append(values([variable])[0] + 1)
        arrays[f"optimizer/sgd/{variable.path.replace('/', '_')}_average"] = averages[-1]
    np.savez(folder / "step_00000004.npz", **arrays)
    return averages


def test_a_run_of_the_earlier_average_is_evaluated_with_it_and_not_trained_further(tmp_path):
    model = made(0.9)
    train(model, 4)
    statistics = values(model.network.non_trainable_variables)
    averages = earlier_checkpoint(model, tmp_path)
    other = made(0.9)
    before = values(other.variables)
    with pytest.raises(UserError, match="can be evaluated, but not trained further"):
        checkpoints.restore_latest(other, tmp_path)
    assert_equal(values(other.variables), before)
    assert checkpoints.restore_latest(other, tmp_path, to_evaluate=True) == 4
    with averaged_weights(other):
        assert_equal(values(other.trainable_variables), averages)
        assert_equal(values(other.network.non_trainable_variables), statistics)


def residual_network():
    layers = keras.layers

    def activation(x):
        return layers.Activation("relu")(layers.BatchNormalization(momentum=0.95)(x))

    images = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(layers.Rescaling(1 / 16)(images))
    for width in (16, 32):
        shortcut = layers.Conv2D(width, 1, use_bias=False)(x)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(activation(x))
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(activation(x))
        x = layers.Add()([x, shortcut])
    x = layers.GlobalAveragePooling2D()(activation(x))
    return keras.Model(images, layers.Dense(32)(x))


def test_averages_of_a_residual_network_err_no_more_than_its_weights():
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images, labels = digits.images[order, ..., None].astype("float32"), digits.target[order]
    keras.utils.set_random_seed(1)
    # At step 100, the average is as young as with any other decay above 0.92.
    model = AssociativeModel(residual_network(), 10, similarity=None, average_decay=0.999)
    model.build((None, 8, 8, 1))
    model.compile(keras.optimizers.Adam(3e-3), **running.TRACED)
    drawn = np.random.default_rng(1).integers(0, 1200, 50 * 100)
    model.fit(images[drawn], labels[drawn], batch_size=50, shuffle=False, verbose=0)

    def error():
        logits = model.predict(images[1200:], batch_size=597, verbose=0)
        return np.mean(logits.argmax(axis=1) != labels[1200:])

    raw = error()
    with averaged_weights(model):
        averaged = error()
    assert averaged <= raw + 0.01
    assert averaged < 0.09
