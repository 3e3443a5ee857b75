"""The calls of layers that a functional network is made of, those of nested models in their place.

They serve to look between the layers of a network, and to make some of its calls in another way.
"""

import functools
import itertools
from typing import Any, NamedTuple

import keras

from semisup.architectures import hub

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


class LayerCall(NamedTuple):
    """A call of a layer.

    Attributes:
        layer: a Keras layer or operation.
        inputs: symbolic tensors that it takes.
        outputs: symbolic tensors that it returns.
    """

    layer: Any
    inputs: list
    outputs: list


def is_functional(network):
    """Return whether the calls of a network are known: of a functional or sequential model."""
    return isinstance(network, keras.Model) and hasattr(_graph(network), "_nodes_by_depth")


def run(network, inputs, call):
    """Compute a functional network, each call of a layer by a function.

    Args:
        network: a functional or sequential Keras model with one input.
        inputs: tensor that it takes.
        call: function of a layer, which is a nested functional model only if it is a backbone of
            Keras Hub, whose layers cannot do without it, and of the positional
            and the named arguments of its call, a tuple and a dictionary, that returns the outputs.
            Runs make their calls in the same order.

    Returns:
        The network's outputs, of what `call` returned.
    """

    def visit(layer, *arguments, **options):
        if is_functional(layer) and hub.package_of(type(layer)) != hub.PACKAGE:
            return run(layer, arguments[0], call)
        return call(layer, arguments, options)

    return _graph(network)._run_through_graph(
        inputs, operation_fn=lambda layer: functools.partial(visit, layer)
    )


def infer(layer, arguments, options, training=False):
    """Call a layer or an operation, in inference mode unless told otherwise: see `run`."""
    if isinstance(layer, keras.layers.Layer):
        # To every layer, since Keras passes the argument of one on to those that it calls.
        options = {**options, "training": training}
    return layer(*arguments, **options)


def trace(network):
    """List the calls of a network.

    Args:
        network: a functional or sequential Keras model with one input.

    Returns:
        The symbolic tensor that stands for the input, and the `LayerCall`s in the order of `run`.

    Raises:
        ValueError: if the network is no such model.
    """
    if not is_functional(network) or len(network.inputs) != 1:
        raise ValueError(f"network {network.name} is no functional model with one input")
    images = keras.KerasTensor(network.inputs[0].shape, network.inputs[0].dtype)
    calls = []

    def note(layer, arguments, options):
        outputs = infer(layer, arguments, options)
        tensors = [
            tensor
            for tensor in keras.tree.flatten((arguments, options))
            if isinstance(tensor, keras.KerasTensor)
        ]
        calls.append(LayerCall(layer, tensors, keras.tree.flatten(outputs)))
        return outputs

    run(network, images, note)
    return images, calls


def first_convolution(network):
    """Return the convolution whose kernels see the images themselves.

    Keras keeps every tracing of a network: call this once, and keep the result.

    Args:
        network: a functional or sequential Keras model with one input.

    Returns:
        A `keras.layers.Conv2D`, whose kernel is (height, width, 1 or 3, n).

    Raises:
        ValueError: if the network is no such model or has no convolution, or the first is one of
            more than three channels, which cannot be seen.
    """
    _, calls = trace(network)
    layer = next((call.layer for call in calls if isinstance(call.layer, CONVOLUTIONS)), None)
    if layer is None:
        raise ValueError(f"the network {network.name} has no convolution")
    if not isinstance(layer, keras.layers.Conv2D) or layer.kernel.shape[2] not in (1, 3):
        raise ValueError(f"the kernels of {layer.name} are of neither one nor three channels")
    return layer


class Section(keras.Model):
    """The part of a network from one call to another, in inference mode.

    Args:
        network: a functional or sequential Keras model with one input.
        start: number, in the list of `trace`, of the call whose output the section takes, and all
            that it takes; -1: it takes the network's input.
        stop: number of a later call, whose output the section returns.
    """

    def __init__(self, network, start, stop):
        super().__init__(name="section")
        self.network = network
        self.start = start
        self.stop = stop

    def call(self, inputs):
        """Compute the output of the call `stop` from that of the call `start`."""
        places, found = itertools.count(), {}

        def call(layer, arguments, options):
            place = next(places)
            if place <= self.start:
                return inputs
            if place > self.stop:
                return None
            found[place] = infer(layer, arguments, options)
            return found[place]

        run(self.network, inputs, call)
        return found[self.stop]


def _graph(network):
    """Return the functional model of a network, which a sequential one hides."""
    return getattr(network, "_functional", network)
