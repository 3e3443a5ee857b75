"""What excites the kernels of a network: Zeiler and Fergus' question (thesis section 2.4).

Integrated gradients (Sundararajan et al. 2017, "Axiomatic attribution for deep networks"), whose
attributions add up to the activation, replace their deconvolution. Unlike the other modules of
figures, this one needs Keras, and is imported by itself.
"""

import itertools
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from semisup.architectures import layer_calls
from semisup.architectures.layer_calls import CONVOLUTIONS
from semisup.report.figures import gradients
from semisup.report.figures.kernels import ExcitedLayer

_POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
_GLOBAL_POOLINGS = (layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D)
_BEYOND = 190
"""Grey of what a kernel sees beyond the border of an image."""


class ReceptiveField(NamedTuple):
    """The pixels that the units of a layer see, along both axes of an image.

    The unit at `place` sees `size` pixels, the first of which is `stride * place + offset`; some of
    them may lie beyond the image.

    Attributes:
        stride: (2,) int.
        offset: (2,) int.
        size: (2,) int.
    """

    stride: np.ndarray
    offset: np.ndarray
    size: np.ndarray

    def window(self, place, limits):
        """Return the pixels that a unit sees; where it sees a whole axis, exactly the image's.

        Args:
            place: (2,) int, row and column of the unit.
            limits: (2,) int, height and width of the image.

        Returns:
            (2,) int of the first pixel, and (2,) int of the height and width.
        """
        limits = np.asarray(limits)
        whole = self.size >= limits
        first = self.stride * np.asarray(place) + self.offset
        return np.where(whole, 0, first), np.where(whole, limits, self.size)


class _Convolution(NamedTuple):
    """A convolution of a network: its number among the calls, its call, and what it sees."""

    number: int
    call: layer_calls.LayerCall
    field: ReceptiveField


def excited_layers(
    model, images, num_layers=3, num_kernels=8, per_kernel=4, steps=32, batch_size=500
):
    """Find the images that excite kernels most, and the pixels that do so.

    The function looks at the first convolution, the last, and some at even distances between them,
    and likewise at some of their kernels that are positive anywhere. A kernel's output is taken
    after the layer's own activation function. Its greatest output on an image says how much the
    image excites it.

    The attributions are to pixels after the layers that normalise them, summed over channels. The
    baseline is 0 there: black, mid-grey or the mean colour, whichever is normalised to 0.

    Args:
        model: an `EmbeddingClassifier` with a functional network.
        images: (n, height, width, channels) uint8.
        num_layers: convolutions, at most.
        num_kernels: kernels of each, at most.
        per_kernel: images for each kernel, at most.
        steps: steps of the integrated gradients.
        batch_size: images in a batch.

    Returns:
        List of `ExcitedLayer` in the order of the network, without layers that no image excites.

    Raises:
        ValueError: if the network is not functional or has no convolution, if what one sees is
            unknown, or no kernel is positive on any image.
    """
    network = model.network
    source, calls = layer_calls.trace(network)
    start = _last_normalization(source, calls)
    convolutions = [
        _Convolution(number, calls[number], receptive_field(source, calls, number, start))
        for number in _evenly(_convolutions(network, calls), num_layers)
    ]
    probe = _Probe(model, [convolution.number for convolution in convolutions])
    found = []
    for convolution, (activations, units) in zip(
        convolutions, probe.predict(images, batch_size=batch_size, verbose=0), strict=True
    ):
        kernels = _evenly(np.flatnonzero(activations.max(axis=0) > 0), num_kernels)
        if not len(kernels):
            continue
        # Each kernel has a row, with the most exciting image first.
        order = np.argsort(-activations[:, kernels], axis=0, kind="stable")[:per_kernel].T
        attribution = _Attribution(model, start, convolution, steps)
        seen = [
            [attribution.seen(images[i], units[i, kernel], kernel) for i in row]
            for kernel, row in zip(kernels, order, strict=True)
        ]
        found.append(
            ExcitedLayer(
                name=convolution.call.layer.name,
                count=activations.shape[1],
                kernels=kernels,
                activations=activations[order, kernels[:, None]],
                patches=np.array([[patch for patch, _ in row] for row in seen]),
                attributions=np.array([[pixels for _, pixels in row] for row in seen]),
            )
        )
    if not found:
        raise ValueError("no kernel is positive on any image")
    return found


def receptive_field(source, calls, number, start=-1):
    """Compute what the units of a layer see, from the layers before it.

    Layers that keep height and width count as acting on each pixel alone, even if they normalise an
    image as a whole. What is broadcast to all pixels, as in squeeze-and-excitation, does not count.

    Args:
        source: symbolic input of a network: see `layer_calls.trace`.
        calls: its calls.
        number: number of the layer's call.
        start: number of the call whose output is looked at; -1: the input.

    Returns:
        A `ReceptiveField`.

    Raises:
        ValueError: if a layer on the way changes height and width in an unknown manner, or the size
            of the images is not known.
    """
    seen = source if start < 0 else calls[start].outputs[0]
    if None in seen.shape[1:]:
        raise ValueError("the network takes images of any size")
    ones, zeros = np.ones(2, int), np.zeros(2, int)
    fields = {id(calls[number].outputs[0]): ReceptiveField(ones, zeros, ones)}
    for call in reversed(calls[start + 1 : number + 1]):
        if id(call.outputs[0]) in fields:
            for tensor in call.inputs:
                field = _field_before(call, tensor, fields[id(call.outputs[0])])
                if field is not None:
                    fields[id(tensor)] = _union(field, fields.get(id(tensor), field))
    # Behind a dense layer, a unit sees everything.
    return fields.get(id(seen), ReceptiveField(zeros, zeros, np.array(seen.shape[1:3])))


def integrated_gradients(gradients_at, image, baseline, steps=32):
    """Attribute a number that depends on an image to the image's values.

    Args:
        gradients_at: function from (steps, height, width, channels) images to the gradients of
            their numbers, of the same shape.
        image: (height, width, channels) float.
        baseline: image without attributions, from which the others are measured.
        steps: points between the two; with more of them, the sum of the attributions comes closer
            to the difference of the two numbers.

    Returns:
        (height, width, channels) float.
    """
    fractions = (np.arange(steps, dtype="float32")[:, None, None, None] + 0.5) / steps
    difference = image - baseline
    return difference * gradients_at(baseline + fractions * difference).mean(axis=0)


def cut(image, first, size, beyond):
    """Cut a window out of an image, or out of an array with numbers for its pixels.

    Args:
        image: (height, width, ...) array.
        first: (2,) int, its first row and column; may be negative.
        size: (2,) int, its height and width.
        beyond: value outside the image.

    Returns:
        (*size, ...) array.
    """
    window = np.full((*size, *image.shape[2:]), beyond, image.dtype)
    begin = np.maximum(first, 0)
    end = np.minimum(np.asarray(first) + size, image.shape[:2])
    if np.all(begin < end):
        target = tuple(map(slice, begin - first, end - first))
        window[target] = image[tuple(map(slice, begin, end))]
    return window


class _Probe(keras.Model):
    """A model that returns each kernel's greatest output and its unit, for some convolutions."""

    def __init__(self, model, numbers):
        super().__init__(name="probe")
        self.model = model
        self.numbers = tuple(numbers)
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, images):
        """Return pairs of float32 (n, kernels) and int32 (n, kernels) for uint8 images."""
        numbers, found = itertools.count(), {}

        def call(layer, arguments, options):
            outputs = layer_calls.infer(layer, arguments, options)
            number = next(numbers)
            if number in self.numbers:
                height, width, kernels = outputs.shape[1:]
                units = ops.reshape(outputs, (-1, height * width, kernels))
                greatest = ops.cast(ops.max(units, axis=1), "float32")
                found[number] = (greatest, ops.argmax(units, axis=1))
            return outputs

        layer_calls.run(self.model.network, self.model.prepare(images), call)
        return [found[number] for number in self.numbers]


class _Attribution:
    """Attributions of the outputs of a convolution's kernels to pixels."""

    def __init__(self, model, start, convolution, steps):
        self.model = model
        self.convolution = convolution
        self.steps = steps
        self._normalize = None
        if start >= 0:
            self._normalize = layer_calls.Section(model.network, -1, start)
        self._gradients = gradients.input_gradients(
            layer_calls.Section(model.network, start, convolution.number)
        )

    def seen(self, image, unit, kernel):
        """Return what a unit sees of a uint8 image, and the attributions summed over channels."""
        output_shape = self.convolution.call.outputs[0].shape[1:]
        prepared = self.model.prepare(image[None])
        values = prepared if self._normalize is None else self._normalize(prepared)
        values, prepared = (ops.convert_to_numpy(tensor)[0] for tensor in (values, prepared))
        place = np.unravel_index(unit, output_shape[:2])
        chosen = np.zeros((1, *output_shape), "float32")
        chosen[0, *place, kernel] = 1
        pixels = integrated_gradients(
            lambda path: self._gradients(path, chosen), values, np.zeros_like(values), self.steps
        ).sum(axis=-1)
        window = self.convolution.field.window(place, pixels.shape)
        shown = np.clip(np.rint(prepared), 0, 255).astype(np.uint8)
        return cut(shown, *window, _BEYOND), cut(pixels, *window, np.nan)


def _convolutions(network, calls):
    """Return the numbers of the calls that are convolutions; there is at least one."""
    numbers = [i for i, call in enumerate(calls) if isinstance(call.layer, CONVOLUTIONS)]
    if not numbers:
        raise ValueError(f"the network {network.name} has no convolution")
    return numbers


def _evenly(values, count):
    """Pick some of many values at even distances, with the first and the last, as an array."""
    values = np.asarray(values)
    chosen = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return values[chosen]


def _last_normalization(source, calls):
    """Return the number of the last layer that still acts on single pixels only, or -1."""
    number, seen = -1, source
    while True:
        users = [i for i, call in enumerate(calls) if any(t is seen for t in call.inputs)]
        if len(users) != 1 or not _is_pixelwise(calls[users[0]]):
            return number
        number = users[0]
        seen = calls[number].outputs[0]


def _is_pixelwise(call):
    learns = getattr(call.layer, "trainable_weights", ())
    return (
        not learns
        and not isinstance(call.layer, CONVOLUTIONS + _POOLINGS)
        and all(tensor.shape[1:3] == call.outputs[0].shape[1:3] for tensor in call.inputs)
    )


def _field_before(call, tensor, field):
    """Return what units see of a layer's input if they see `field` of its output, or None."""
    layer, output = call.layer, call.outputs[0]
    if len(tensor.shape) != 4 or len(output.shape) != 4:
        return None
    before, after = np.array(tensor.shape[1:3]), np.array(output.shape[1:3])
    if isinstance(layer, _GLOBAL_POOLINGS):
        return ReceptiveField(np.zeros(2, int), np.zeros(2, int), before)
    if isinstance(layer, layers.ZeroPadding2D):
        return field._replace(offset=field.offset - np.array(layer.padding)[:, 0])
    if isinstance(layer, layers.Cropping2D):
        return field._replace(offset=field.offset + np.array(layer.cropping)[:, 0])
    if isinstance(layer, CONVOLUTIONS + _POOLINGS):
        size = layer.pool_size if isinstance(layer, _POOLINGS) else layer.kernel_size
        dilation = np.array(getattr(layer, "dilation_rate", 1))
        size = (np.array(size) - 1) * dilation + 1
        stride = np.array(layer.strides)
        padding = np.zeros(2, int)
        if layer.padding == "same":
            padding = np.maximum((after - 1) * stride + size - before, 0) // 2
        return ReceptiveField(
            field.stride * stride,
            field.offset * stride - padding,
            (field.size - 1) * stride + size,
        )
    if np.array_equal(before, after):
        return field
    if np.all((before == after) | (before == 1)):
        return None
    raise ValueError(f"what the kernels behind layer {layer.name} see is unknown")


def _union(one, other):
    """Return what is seen along either of two ways."""
    first = np.minimum(one.offset, other.offset)
    end = np.maximum(one.offset + one.size, other.offset + other.size)
    return ReceptiveField(np.maximum(one.stride, other.stride), first, end - first)
