"""What a model is given: structures of tensors, and the images among them."""

import keras
from keras import ops

from semisup.architectures import transfer


def is_shape(shapes):
    """Return whether a structure is the shape of one tensor."""
    return isinstance(shapes, (tuple, list)) and all(
        size is None or isinstance(size, int) for size in shapes
    )


def as_shapes(structure):
    """Return a structure of shapes with tuples as shapes, as JSON does not keep them."""
    return keras.tree.map_shape_structure(tuple, structure)


def any_batch_size(shapes):
    """Return a structure of shapes with their first axis open."""
    return keras.tree.map_shape_structure(lambda shape: (None, *shape[1:]), shapes)


def types_of(inputs):
    """Return the dtypes of a structure of tensors, float32 for what has none."""

    def type_of(tensor):
        dtype = getattr(tensor, "dtype", "float32")
        return keras.backend.standardize_dtype(dtype)

    return _plain(keras.tree.map_structure(type_of, inputs))


def _plain(structure):
    """Return a structure without the types that Keras gives to attributes, which JAX rejects."""
    if isinstance(structure, dict):
        return {name: _plain(part) for name, part in structure.items()}
    if isinstance(structure, (tuple, list)):
        return [_plain(part) for part in structure]
    return structure


def is_pair(network, inputs):
    """Return whether the inputs of a model are a labelled and an unlabelled batch.

    Args:
        network: the Keras model or layer that a batch goes to.
        inputs: tensors, or structures of shapes, as a model is given them.
    """
    if not isinstance(inputs, (tuple, list)) or is_shape(inputs) or len(inputs) != 2:
        return False
    if any(isinstance(part, (tuple, list, dict)) and not is_shape(part) for part in inputs):
        return True
    # Two tensors are two batches, unless the network takes two.
    return len(getattr(network, "inputs", None) or [None]) == 1


def symbolic(network, shapes, types=None):
    """Make symbolic tensors of shapes.

    Args:
        network: the Keras model or layer that takes them.
        shapes: structure of shapes.
        types: structure of dtypes, or None for those that the network says it takes, or float32.

    Returns:
        Structure of `keras.KerasTensor`s.
    """
    tensors = keras.tree.map_shape_structure(keras.KerasTensor, shapes)
    flat = keras.tree.flatten(tensors)
    known = [dtype or "float32" for dtype in _network_types(network, tensors)]
    types = known if types is None else keras.tree.flatten(types)
    typed = [keras.KerasTensor(each.shape, dtype) for each, dtype in zip(flat, types, strict=True)]
    return _plain(keras.tree.pack_sequence_as(tensors, typed))


def placeholders(network, shapes, types):
    """Make inputs of a functional model from examples to what a network makes of them.

    Args:
        network: the Keras model or layer that takes them.
        shapes: structure of shapes.
        types: structure of the dtypes that examples had.

    Returns:
        Structure of `keras.Input`s: numbers as float32 unless the network takes integers.
    """
    tensors = symbolic(network, shapes, types)
    flat = keras.tree.flatten(tensors)
    names = [tensor.name for tensor in _network_inputs(network, tensors)]
    if not names:
        names = ["inputs"] if len(flat) == 1 else [f"inputs_{i}" for i in range(len(flat))]
    if isinstance(shapes, dict) and len(shapes) == len(flat):
        names = sorted(shapes)
    inputs = []
    for tensor, expected, name in zip(flat, _network_types(network, tensors), names, strict=True):
        is_number = len(tensor.shape) == 4 or "float" in tensor.dtype
        dtype = expected or ("float32" if is_number else tensor.dtype)
        inputs.append(keras.Input(tensor.shape[1:], dtype=dtype, name=name))
    return keras.tree.pack_sequence_as(tensors, inputs)


def _network_inputs(network, examples):
    """Return the symbolic inputs of a network in the order of the flattened examples.

    There are none unless there are as many.
    """
    tensors = getattr(network, "inputs", None) or ()
    if len(tensors) != len(keras.tree.flatten(examples)):
        return ()
    if isinstance(examples, dict) and not isinstance(network.input, dict):
        # As Keras does, by name.
        by_name = {tensor.name: tensor for tensor in tensors}
        if set(by_name) == set(examples):
            places = {name: name for name in examples}
            return [by_name[name] for name in keras.tree.flatten(places)]
    return tensors


def _network_types(network, examples):
    """Return the dtype of each input of a network, None where it does not say."""
    tensors = _network_inputs(network, examples)
    known = [keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors]
    return known or [None] * len(keras.tree.flatten(examples))


def prepare(network, examples, built_shapes=None):
    """Bring examples to the form that a network takes.

    Args:
        network: a Keras model or layer.
        examples: a tensor, or a structure of tensors; may be features, for a network of which only
            the head is trained.
        built_shapes: structure of the shapes that the model was built with, or None.

    Returns:
        The same, images as float32, with the size and channels of the network's input where it has
        one of fixed shape.

    Raises:
        ValueError: if an example has another rank than the network's input, or RGB images meet a
            network for grey ones.
    """
    _check_ranks(network, examples)
    if transfer.takes_features(network, examples):
        return ops.cast(examples, "float32")
    tensors = [
        part if isinstance(part, keras.KerasTensor) else ops.convert_to_tensor(part)
        for part in keras.tree.flatten(examples)
    ]
    shapes = [tuple(tensor.shape) for tensor in _network_inputs(network, examples)]
    if not shapes and built_shapes is not None:
        # The network does not say what it takes: the ranks are those that it was built with.
        built = keras.tree.flatten(keras.tree.map_shape_structure(keras.KerasTensor, built_shapes))
        shapes = [(None,) * len(tensor.shape) for tensor in built]
    if len(shapes) != len(tensors):
        shapes = [None] * len(tensors)
    types = _network_types(network, examples)
    prepared = [_prepared(*parts) for parts in zip(tensors, shapes, types, strict=True)]
    return keras.tree.pack_sequence_as(examples, prepared)


def _check_ranks(network, examples):
    """Check that the ranks of examples are known.

    TensorFlow forgets that of inputs of a function that has seen others.
    """
    for tensor in keras.tree.flatten(examples):
        if getattr(getattr(tensor, "shape", None), "rank", 0) is None:
            advice = "give one example as a batch, example[None]"
            if transfer.parts(network) is not None:
                advice += ", and compile the model anew between images and features"
            raise ValueError(f"inputs have another number of axes than earlier ones: {advice}")


def _prepared(tensor, shape, dtype):
    rank = len(tensor.shape)
    if shape is not None and rank != len(shape):
        return _of_rank(tensor, shape, dtype)
    kind = keras.backend.standardize_dtype(tensor.dtype)
    is_image = rank == 4 and kind != "string"
    if not is_image or (dtype is not None and "float" not in dtype):
        return tensor
    images = ops.cast(tensor, "float32")
    if shape is None:
        return images
    _, height, width, channels = shape
    if channels and images.shape[-1] != channels:
        images = _repeated(images, channels)
    if height and width and tuple(images.shape[1:3]) != (height, width):
        images = ops.image.resize(
            images, (height, width), interpolation="bilinear", data_format="channels_last"
        )
    return images


def _repeated(images, channels):
    """Return grey images with the channels that a network takes."""
    given = images.shape[-1]
    if given is None and channels > 1:
        # TensorFlow forgets the channels of a function that has seen others: one is broadcast.
        return images * ops.ones((channels,))
    if given != 1:
        given = "not the channels of earlier ones" if given is None else f"{given} channels"
        raise ValueError(f"images have {given}, the network takes {channels}")
    return ops.repeat(images, channels, axis=-1)


def _of_rank(tensor, shape, dtype):
    """Return a tensor that lacks a last axis of size 1, or has one too many, as Keras takes it."""
    own = tuple(tensor.shape)
    if shape[-1] == 1 and own[1:] == shape[1:-1] and None not in own[1:]:
        return _prepared(ops.expand_dims(tensor, -1), shape, dtype)
    if own[-1] == 1 and own[1:-1] == shape[1:] and None not in own[1:]:
        return _prepared(ops.squeeze(tensor, -1), shape, dtype)
    one = len(own) == len(shape) - 1
    raise ValueError(
        f"inputs of shape {own} do not fit the network, which takes a batch of shape {shape}"
        f"{': give one example as a batch, example[None]' if one else ''}"
    )


def can_be_joined(batches):
    """Return whether batches may be concatenated: one structure, the same known shapes."""
    shapes = [
        [tuple(tensor.shape)[1:] for tensor in keras.tree.flatten(batch)] for batch in batches
    ]
    known = all(None not in shape for shape in shapes[0])
    return known and all(other == shapes[0] for other in shapes[1:])
