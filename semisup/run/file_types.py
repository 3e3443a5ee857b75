"""What the JSON files of a run hold, as types that are checked when they are read.

Each file may hold more than its type names: what a task records and measures itself, and what later
versions add. Fields that earlier versions did not write are `NotRequired`.
"""

from typing import Annotated, NotRequired, TypedDict

from msgspec import Meta

from semisup.files.reading import Number

Count = Annotated[int, Meta(ge=0, le=2**62)]
Fraction = Annotated[float, Meta(ge=-1e-6, le=1 + 1e-6)]
"""From 0 to 1, but for rounding."""
Finite = Annotated[float, Meta(ge=-1e38, le=1e38)]
Positive = Annotated[float, Meta(ge=0, le=1e12)]
Pixels = Annotated[int, Meta(ge=1, le=2**15)]
Shape = tuple[Pixels, Pixels, Pixels]
Setting = bool | Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | Finite | str
Settings = dict[str, Setting]


class Config(TypedDict):
    """`config.json`."""

    task: str
    settings: Settings
    backend: str
    sampler: NotRequired[Count]
    versions: NotRequired[dict[str, str]]
    environment: NotRequired[dict[str, str]]
    git_commit: NotRequired[str | None]


class Record(TypedDict):
    """`data.json`, whatever the task."""

    class_names: NotRequired[Annotated[list[str], Meta(min_length=1, max_length=1_000_000)]]
    image_shape: NotRequired[Shape]
    evaluation_fingerprint: NotRequired[str]
    labelled_indices: NotRequired[list[Count]]
    unlabelled_images: NotRequired[Count]
    evaluation_images: NotRequired[Count]
    train_images: NotRequired[Count]
    train_fingerprint: NotRequired[str]
    unlabelled_fingerprint: NotRequired[str | None]
    source_test_fingerprint: NotRequired[str | None]
    target_test_fingerprint: NotRequired[str | None]
    initial_model: NotRequired[str]


class ImageRecord(Record):
    """`data.json` of a task on images."""

    class_names: Annotated[list[str], Meta(min_length=1, max_length=1_000_000)]
    image_shape: Shape
    evaluation_fingerprint: str


class Hardware(TypedDict):
    """The machine of a training."""

    processor: NotRequired[str]
    cores: Count
    accelerators: list[str]


class Results(TypedDict):
    """`results.json`."""

    step: Count
    settings: NotRequired[Settings]
    command: NotRequired[str]
    test_error: NotRequired[Fraction]
    validation_error: NotRequired[Fraction]
    confidence: NotRequired[Fraction]
    size_entropy: NotRequired[Finite]
    evaluated_on: NotRequired[str]
    images: NotRequired[Count]
    live_changes: NotRequired[list[dict[str, Number]]]
    wall_time_seconds: NotRequired[Positive]
    median_steps_per_second: NotRequired[Positive | None]
    git_commit: NotRequired[str | None]
    backend: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    environment: NotRequired[dict[str, str]]
    hardware: NotRequired[Hardware]


class DomainError(TypedDict):
    """The metrics of an adaptation in one domain."""

    error: Fraction


class Evaluation(TypedDict):
    """`evaluation.json`."""

    step: NotRequired[Count]
    dataset: NotRequired[str]
    images: NotRequired[Count]
    evaluated_on: NotRequired[str]
    error: NotRequired[Fraction]
    expected_calibration_error: NotRequired[Fraction]
    temperature: NotRequired[Positive]
    accuracy: NotRequired[Fraction]
    nmi: NotRequired[Finite]
    ari: NotRequired[Finite]
    k_means_accuracy: NotRequired[Fraction]
    per_class_accuracy: NotRequired[dict[str, Fraction | None]]
    confusion_matrix: NotRequired[list[list[Count]]]
    source: NotRequired[DomainError]
    target: NotRequired[DomainError]
    squared_mmd: NotRequired[dict[str, Finite]]
    source_only_error: NotRequired[Fraction]
    target_only_error: NotRequired[Fraction]
    coverage: NotRequired[Finite | None]
    cluster_sizes: NotRequired[list[Count]]
    matching: NotRequired[list[str | None]]


class Entry(TypedDict):
    """A line of `metrics.jsonl`: besides these fields, measured numbers by name."""

    step: Count
    seconds: Positive


class CrossValidation(TypedDict):
    """`cross_validation.json`."""

    step: Count
    folds: Count
    images: Count
    error: Fraction
    accuracy: list[Fraction]
    mean_accuracy: Fraction
    deviation: Fraction
    settings: Settings


class HeldOut(TypedDict):
    """`held_out.json`: the logits of images whose labels the training did not see."""

    indices: list[Count]
    labels: list[Count]
    logits: list[list[Finite]]
