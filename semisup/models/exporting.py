"""Export for inference: to SavedModel, LiteRT, ONNX and whatever else Keras exports to."""

import contextlib

# Formats whose converters write files of bfloat16 and float16 that no runtime loads.
_FLOAT32_FORMATS = ("litert", "onnx")


def export(model, filepath, format="tf_saved_model", **kwargs):
    """Export a model from the network's inputs to logits.

    To LiteRT and ONNX, models go in float32 whatever precision they compute in: their logits then
    differ from those of `predict` by the rounding of that precision.

    Args:
        model: a built `EmbeddingClassifier`.
        filepath: see `keras.Model.export`.
        format: likewise.
        **kwargs: likewise.

    Raises:
        ValueError: if the model is not built, or Keras does not export to the format on this
            backend.
    """
    is_float32 = format in _FLOAT32_FORMATS
    with computing_in_float32(model) if is_float32 else contextlib.nullcontext():
        export_functional(model.inference_model(), filepath, format, **kwargs)


def export_functional(functional, filepath, format, **kwargs):
    """Export a functional model: see `keras.Model.export`."""
    # Keras exports to ONNX only what was called.
    functional(functional.input)
    functional.export(filepath, format=format, **kwargs)


@contextlib.contextmanager
def computing_in_float32(model):
    """Let all layers of a model compute in float32 that compute in a shorter type.

    Args:
        model: a built Keras model; what is traced meanwhile stays in float32.
    """
    changed = {
        layer: layer.dtype_policy
        for layer in model._flatten_layers()
        if layer.compute_dtype in ("bfloat16", "float16")
    }
    for layer in changed:
        layer.dtype_policy = "float32"
    try:
        yield
    finally:
        for layer, policy in changed.items():
            layer.dtype_policy = policy
