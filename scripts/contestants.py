"""What `benchmark.py` measures: fits, bare steps, matrix products, memory, FLOP of a step."""

import functools
import math
import time

import numpy as np


def rate(function, count):
    """Return how many times a second a function does what it is told to do `count` times."""
    started = time.perf_counter()
    function(count)
    return count / (time.perf_counter() - started)


def epoch_timer(report_seconds):
    """Return a callback that calls a function with the time that each epoch took, in seconds."""
    import keras

    began = []
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: began.append(time.perf_counter()),
        on_epoch_end=lambda epoch, logs: report_seconds(time.perf_counter() - began.pop()),
    )


def fit_rate(model, batch, steps):
    """Measure the steps a second of `Model.fit` on a constant batch, less the call's overhead."""
    import tensorflow as tf

    seconds = []
    model.fit(
        tf.data.Dataset.from_tensors(batch).repeat(),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[epoch_timer(seconds.append)],
    )
    return steps / seconds[0]


def unwatched_adam():
    """Return a subclass of `SteerableAdam` that does not measure the gradients."""
    import keras

    from semisup.models.optimizers import SteerableAdam

    class UnwatchedAdam(SteerableAdam):
        def apply(self, grads, trainable_variables=None):
            keras.optimizers.Adam.apply(self, grads, trainable_variables)

    return UnwatchedAdam


def bare_steps(model, config, batch):
    """Return the same step without `fit`, metrics and statistics, with full loss weights.

    Args:
        model: a compiled `AssociativeModel`, which is trained.
        config: its `TrainConfig`.
        batch: NumPy batch ((labelled_images, unlabelled_images), labels), or (images, labels).

    Returns:
        Function that takes a number of steps and returns the last loss.
    """
    import keras

    inputs, labels = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
    make = _bare_jax_step if keras.backend.backend() == "jax" else _bare_tensorflow_step
    step = make(model, functools.partial(_total_loss, config))

    def take(count):
        for _ in range(count):
            loss = step(inputs, labels)
        # An accelerator goes on after the call has returned: wait for the last step.
        return float(keras.ops.convert_to_numpy(loss))

    return take


def _total_loss(config, labels, outputs, regularization):
    from keras import ops

    from semisup import association

    pair = isinstance(outputs, dict)
    logits = outputs["logits"] if pair else outputs
    total = config.logit_weight * ops.mean(
        ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    )
    if pair:
        total += association.association_loss(
            outputs["labelled"],
            outputs["unlabelled"],
            labels,
            config.walker_weight,
            config.visit_weight,
            config.similarity_measure,
            config.temperature,
        )
    return total + sum(ops.cast(loss, "float32") for loss in regularization)


def _bare_tensorflow_step(model, total_loss):
    import tensorflow as tf

    @tf.function(jit_compile=model.jit_compile)
    def step(inputs, labels):
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = total_loss(labels, outputs, model.losses)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        model.optimizer.apply(gradients, variables)
        return loss

    return step


def _bare_jax_step(model, total_loss):
    import jax

    def values(variables):
        return [variable.value for variable in variables]

    state = (
        values(model.trainable_variables),
        values(model.non_trainable_variables),
        values(model.optimizer.variables),
    )

    def update(state, inputs, labels):
        trainable, others, slots = state

        def loss_and_state(trainable):
            outputs, new_others, regularization = model.stateless_call(
                trainable, others, inputs, training=True, return_losses=True
            )
            return total_loss(labels, outputs, regularization), new_others

        (loss, others), gradients = jax.value_and_grad(loss_and_state, has_aux=True)(trainable)
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        return loss, (trainable, others, slots)

    if model.jit_compile:
        update = jax.jit(update, donate_argnums=0)

    def step(inputs, labels):
        nonlocal state
        loss, state = update(state, inputs, labels)
        return loss

    return step


def similarity_terms():
    """Return the similarity terms to measure, forward and backward, by their names."""
    from domain_adaptation.discrepancy import CorrelationAlignment, MaximumMeanDiscrepancy
    from semisup.association import Association

    return {
        "association": Association(measure="dot"),
        "MMD, quadratic": MaximumMeanDiscrepancy(),
        "MMD, linear": MaximumMeanDiscrepancy(estimator="linear"),
        "CORAL": CorrelationAlignment(),
    }


def similarity_gradients(term, labels, unlabelled, width, warm_up=True):
    """Return a function that computes a similarity term and its gradients at the embeddings.

    Args:
        term: a similarity term, see `semisup.Association`.
        labels: (n,) integer classes of the labelled embeddings.
        unlabelled: number of unlabelled embeddings.
        width: width of the embeddings.
        warm_up: whether to compute them once at the outset.

    Returns:
        Function that takes a number of times, and computes the gradients as often.
    """
    import keras
    from keras import ops

    from semisup.report.figures import gradients

    class Loss(keras.Model):
        def call(self, embeddings):
            losses, _ = term(embeddings[: len(labels)], embeddings[len(labels) :], classes)
            return sum(losses.values())

    classes = ops.convert_to_tensor(labels, "int32")
    shape = (len(labels) + unlabelled, width)
    embeddings = np.random.default_rng(0).standard_normal(shape, "float32")
    gradients_at = gradients.input_gradients(Loss())
    weight = np.ones((), "float32")

    def compute(count):
        for _ in range(count):
            gradients_at(embeddings, weight)

    if warm_up:
        compute(1)
    return compute


def generators():
    """Return functions that generate so many images, by name; starting processes is included.

    Encoding and writing are left out. Signs and MNIST-M are blended with noise, which takes as long
    as photographs.
    """
    from semisup.data.builders import mnist_m_generated
    from semisup.data.rendering import digits, parallel, signs

    noise = np.random.default_rng(0)
    photos = list(noise.integers(0, 256, (20, 321, 481, 3), np.uint8))
    digit = noise.integers(0, 256, (28, 28), np.uint8)

    def in_processes(render):
        return lambda count: sum(len(images) for images, _ in parallel.blocks(render, count))

    return {
        "digits": in_processes(functools.partial(digits.render, 0)),
        "signs": in_processes(functools.partial(signs.render, 0, photos)),
        "MNIST-M, one process": lambda count: [
            mnist_m_generated.blend(digit, photos, (0, number)) for number in range(count)
        ],
    }


def product_rate(dtype, size, count):
    """Measure the FLOP a second of a chain of products of square matrices."""
    from keras import ops

    random = np.random.default_rng(0).standard_normal((size, size), "float32")
    # At this scale, a product is about as large as its other factor.
    factor = ops.convert_to_tensor(random / math.sqrt(size), dtype)

    def multiply(count):
        product = factor
        for _ in range(count):
            product = ops.matmul(product, factor)
        return float(ops.convert_to_numpy(ops.cast(product[0, 0], "float32")))

    multiply(1)
    return 2 * size**3 * rate(multiply, count)


def fastest_products(dtype, seconds):
    """Find the size, a power of 2, at which square matrices are multiplied at the highest rate.

    Args:
        dtype: type of the matrices.
        seconds: how long to multiply.

    Returns:
        The size, and how many such products take that long, at least one.
    """
    rates, size = {}, 512
    while True:
        rates[size] = product_rate(dtype, size, 3)
        if 2 * size**3 / rates[size] > seconds / 10:
            break
        size *= 2
    best = max(rates, key=rates.get)
    return best, math.ceil(seconds * rates[best] / (2 * best**3))


def step_flops(model, labelled, unlabelled):
    """Count the floating-point operations of a training step, those of matrix products alone.

    These are the products of convolutions and dense layers, forward and for the gradients of
    kernels and inputs (except the pixels), and of the association. An addition or a multiplication
    is one.

    Args:
        model: a built `AssociativeModel`.
        labelled: labelled images in a batch.
        unlabelled: unlabelled images in a batch.

    Returns:
        The number of operations.
    """
    flops = (labelled + unlabelled) * network_flops(model.network)
    embedding_size, num_classes = model.classifier.kernel.shape
    flops += 3 * 2 * labelled * embedding_size * num_classes
    # Similarities and round trips.
    flops += 3 * 2 * labelled * unlabelled * (embedding_size + labelled)
    return flops


def network_flops(network):
    """Count the floating-point operations of a network's training for an image: see `step_flops`.

    Args:
        network: a functional or sequential Keras model.
    """
    flops = 0
    for layer in _leaves(network):
        kernels = [weight for weight in layer.trainable_variables if weight.name.endswith("kernel")]
        if kernels:
            multiplied = sum(math.prod(kernel.shape) for kernel in kernels)
            forward = 2 * multiplied * math.prod(layer.output.shape[1:-1])
            flops += forward * (3 if flops else 2)
    return flops


def _leaves(model):
    """Yield the layers of a model and of the models in it, in their order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def memory_in_use():
    """Return the memory of this process in MiB, where the system tells: peak, current, unshared."""
    names = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "anonymous"}
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file)
    except OSError:
        return {}
    return {text: int(fields[name].split()[0]) // 1024 for name, text in names.items()}
