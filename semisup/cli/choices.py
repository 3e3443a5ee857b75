"""The values that flags accept, in a module that imports nothing: `--help` answers at once."""

AUGMENTATIONS = ("none", "affine", "inversion", "stl10", "svhn")

NORMALIZATIONS = ("auto", "unit", "range", "channel", "pixel", "image", "image_variance")

SIMILARITY_TERMS = ("association", "none")

TEMPERATURES = {"dot": 1.0, "cosine": 0.1, "euclidean": 1.0}
"""The measures of similarity, and what divides each unless a temperature is given."""

SIMILARITY_MEASURES = tuple(TEMPERATURES)

PAPER_ARCHITECTURES = (
    "mnist_model",
    "mnist_model_dropout",
    "svhn_model",
    "stl10_model",
    "dann_model",
    "resnet_cifar_model",
    "resnet_stl10_model",
)

PAPER_DATASETS = (
    "mnist",
    "mnist_m",
    "mnist_m_generated",
    "svhn_cropped",
    "synthetic_digits",
    "synthetic_digits_generated",
    "synthetic_signs",
    "synthetic_signs_generated",
    "gtsrb",
    "gtsrb_cropped",
    "stl10",
    "cifar10",
    "frgc",
    "mnist_5k",
    "optdigits",
)
"""Those of the papers, and the embedded ones that take their place."""

ENVELOPES = ("none", "linear", "sigmoid")

PRECISIONS = ("float32", "bfloat16")

JIT_COMPILE = ("auto", "on", "off")

AUTO = "auto"

FITS = ("squash", "crop", "pad")
"""How an image that is not square becomes one."""

EMBEDDED = ("mnist_5k", "optdigits")
"""Data sets that come with packages."""

OWN_BUILDERS = (
    "frgc",
    "gtsrb",
    "gtsrb_cropped",
    "mnist_m",
    "mnist_m_generated",
    "omniglot_characters",
    "synthetic_digits",
    "synthetic_digits_generated",
    "synthetic_signs",
    "synthetic_signs_generated",
    "usps",
)
"""Data sets of `semisup.data.builders`."""

SPLIT_ALIASES = {"unlabeled": "unlabelled", "val": "validation", "valid": "validation"}

DATASET_ALIASES = {
    "svhn": "svhn_cropped",
    "mnist3": "mnist",
    "mnistm": "mnist_m",
    "synth": "synthetic_digits",
    "synth_signs": "synthetic_signs",
}
