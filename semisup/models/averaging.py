"""Moving averages of a model's weights, and of the statistics that its layers keep.

The weights of a single step are noisy, above all at a high learning rate; their average over the
latest steps generalises better. Statistics that a layer updates in training are averaged alike:
those of the latest weights alone would not fit. Those of batch normalisation are averages of many
steps already, and are averaged further only as far as the weights' average reaches back beyond.

A model of this project keeps an average if it is made with `average_decay`, whatever its optimizer:

    model = AssociativeModel(network, num_classes=10, average_decay=0.999)
    model.compile(optimizer="sgd", metrics=["accuracy"])
    model.fit(batches, validation_data=test, callbacks=[EvaluateAveragedWeights()])
    with averaged_weights(model):
        model.evaluate(*test)

Any other `keras.Model` keeps one by three lines: create a `WeightAverage` in `__init__`, call its
`track` at the end of `build`, and its `update` in `compute_loss` when training.
"""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops


class WeightAverage:
    """An exponential moving average that begins with the first weights, and soon forgets them.

    After step t, counted from where the average began, it is

        average = decay(t) * average + (1 - decay(t)) * weight
        decay(t) = min(decay, (1 + t) / (10 + t))

    so that it is decay / (1 - decay) steps old in the mean. Statistics of batch normalisation are
    momentum / (1 - momentum) steps old themselves: theirs decays faster, to become as old as the
    weights; where they are older, they are taken as they are.

    Its variables belong to the model, so that they are saved with it.

    Args:
        model: the `keras.Model` that adds the variables.
        decay: decay after many steps, in (0, 1).

    Attributes:
        updates: int32 weight, the number of updates since the average began.

    Raises:
        ValueError: if the decay is out of range.
    """

    def __init__(self, model, decay):
        if not 0 < decay < 1:
            raise ValueError(f"the decay of an average has to lie between 0 and 1, not at {decay}")
        self.decay = decay
        self._model = model
        self._averages = {}
        self.updates = self._add("averaged_steps", (), "int32")

    def _add(self, name, shape, dtype):
        return self._model.add_weight(
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
            name=name,
        )

    def track(self, weights):
        """Average these weights from now on; what is averaged already is left as it is.

        Args:
            weights: `keras.Variable`s; those that are no floats are left out.
        """
        ages = {
            id(statistic): layer.momentum / (1 - layer.momentum)
            for layer in self._model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum < 1
            for statistic in layer.non_trainable_variables
        }
        for weight in weights:
            if id(weight) in self._averages or not keras.backend.is_float_dtype(weight.dtype):
                continue
            dtype = "float64" if weight.dtype == "float64" else "float32"
            average = self._add(f"{weight.path.replace('/', '_')}_average", weight.shape, dtype)
            self._averages[id(weight)] = (weight, average, ages.get(id(weight), 0.0))

    def lacks(self, weights):
        """Return those of some weights that could be averaged, and are not."""
        return [
            weight
            for weight in weights
            if keras.backend.is_float_dtype(weight.dtype) and id(weight) not in self._averages
        ]

    @property
    def variables(self):
        """The averages, and the number of updates."""
        return [self.updates, *(average for _, average, _ in self._averages.values())]

    def update(self):
        """Take the weights into the average: before a step changes them, in a compiled step too."""
        for _, average, value in self._blended():
            average.assign(value)
        self.updates.assign(ops.convert_to_tensor(self.updates) + 1)

    def restart(self):
        """Begin again, with the weights as they will be."""
        self.updates.assign(0)

    def values(self):
        """Return pairs of a weight and its average after the latest step, a tensor of its dtype."""
        return [(weight, ops.cast(value, weight.dtype)) for weight, _, value in self._blended()]

    def _blended(self):
        updates = ops.convert_to_tensor(self.updates)
        steps = ops.cast(updates, "float32")
        decay = ops.minimum(self.decay, (1.0 + steps) / (10.0 + steps))
        # Without any update, what the averages hold is to be forgotten.
        decay = ops.where(ops.equal(updates, 0), 0.0, decay)
        blended = []
        for weight, average, age in self._averages.values():
            value = ops.cast(ops.convert_to_tensor(weight), average.dtype)
            kept = ops.cast(_younger(decay, age), average.dtype)
            kept = kept * (ops.convert_to_tensor(average) - value)
            # In this order, what never changes keeps its very bits.
            blended.append((weight, average, value + kept))
        return blended


def _younger(decay, age):
    """Return the decay with which an average of values of some age is as old as one of new ones."""
    if not age:
        return decay
    steps = ops.maximum(decay / (1.0 - decay) - age, 0.0)
    return steps / (1.0 + steps)


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Put the moving average in place of a model's weights, and take it back at the end.

    Does nothing if the model keeps no average.

    Args:
        model: a built model with a `WeightAverage` as its attribute `average`, or without one.

    Example:
        >>> model = semisup.AssociativeModel(keras.layers.Dense(2), 3, average_decay=0.9)
        >>> model.build((None, 4))
        >>> with semisup.averaged_weights(model):
        ...     model.predict(np.zeros((1, 4), "float32"), verbose=0).shape
        (1, 3)
    """
    replaced = _replace(model)
    try:
        yield
    finally:
        _put_back(replaced)


def _replace(model):
    """Put the averages in place of a model's weights.

    Returns:
        List of weights, what each was before, and its average.
    """
    average = getattr(model, "average", None)
    if average is None:
        return []
    # Copies, since JAX' compiled functions give away the buffers of the weights they are given.
    replaced = [(weight, ops.copy(weight), value) for weight, value in average.values()]
    _assign((weight, value) for weight, _, value in replaced)
    return replaced


def _put_back(replaced):
    _assign((weight, before) for weight, before, _ in replaced)


def put_average(model):
    """Replace a model's weights by their moving average, which begins again with them.

    Does nothing if the model keeps no average.

    Args:
        model: see `averaged_weights`.
    """
    average = getattr(model, "average", None)
    if average is not None:
        _assign(average.values())
        average.restart()


def _assign(pairs):
    for weight, value in pairs:
        weight.assign(value)


class EvaluateAveragedWeights(keras.callbacks.Callback):
    """Let `evaluate`, `predict` and the validation of `fit` see the averages of the weights.

    The training itself goes on with the weights as they are.

    Example:
        >>> rows, labels = np.eye(4, dtype="float32"), np.array([0, 1, 2, 0])
        >>> model = semisup.AssociativeModel(
        ...     keras.layers.Dense(2), 3, similarity=None, average_decay=0.9
        ... )
        >>> model.compile("sgd")
        >>> history = model.fit(
        ...     rows,
        ...     labels,
        ...     validation_data=(rows, labels),
        ...     callbacks=[semisup.EvaluateAveragedWeights()],
        ...     verbose=0,
        ... )
        >>> "val_loss" in history.history
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self._replaced = []

    def _begin(self, logs=None):
        self._recover()
        self._replaced = _replace(self.model)

    def _end(self, logs=None):
        _put_back(self._replaced)
        self._replaced = []

    def _recover(self, logs=None):
        """Take back the averages that an interrupted evaluation has left, and no other weights."""

        def is_left(weight, average):
            weight, average = map(ops.convert_to_numpy, (weight, average))
            return weight.tobytes() == average.tobytes()

        _put_back(each for each in self._replaced if is_left(each[0], each[2]))
        self._replaced = []

    on_train_begin = _recover
    on_test_begin = on_predict_begin = _begin
    on_test_end = on_predict_end = _end
