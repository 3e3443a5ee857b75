"""Deep clustering: the data and the model that a configuration stands for."""

import functools
import math
from typing import ClassVar

import numpy as np

from clustering.certainty import size_entropy
from clustering.config import TrainConfig
from semisup.cli.choices import SPLIT_ALIASES
from semisup.cli.dataset_names import is_folder
from semisup.data import labelled_subset, pipelines, sampling
from semisup.data.cache import MEMORY_LIMIT_BYTES
from semisup.data.datasets import Split, fingerprint, load_dataset, open_dataset
from semisup.errors import UserError, rephrased
from semisup.run import building, evaluation, file_types
from semisup.run.image_data import ImageData
from semisup.run.task import Task


class Clustering(Task):
    """The clustering of images without labels (thesis chapter 5)."""

    name = "clustering"
    title = "Clustering"
    config_class = TrainConfig
    shown = ("confidence", "size_entropy")
    record_type = file_types.ImageRecord
    steered: ClassVar = {
        "cluster_association_weight": ("cluster_walker_loss", "cluster_visit_loss"),
        "visit_weight": ("cluster_visit_loss",),
        "reg_association_weight": ("augmentation_walker_loss", "augmentation_visit_loss"),
        "rvisit_weight": ("augmentation_visit_loss",),
        "norm_weight": ("norm_loss",),
        "trafo_weight": ("transformation_loss",),
        "logit_weight": ("classification_loss",),
    }

    def load_data(self, config, sampler=sampling.VERSION):
        """Load the images, and leave their labels behind if there are any: see `Task`.

        Returns an `ImageData` whose splits have no labels and whose classes are the clusters'
        numbers. Where there are no test images, all images of the split to train on are evaluated.
        """
        train_name, test_name = _split_names(config)
        if config.extra_split and _same_split(config.extra_split, train_name):
            raise UserError(f"--extra_split={config.extra_split} is the split to train on anyway")
        extra_names = (config.extra_split,) if config.extra_split else ()
        data = _load(config, train_name, *extra_names, *((test_name,) if test_name else ()))
        images = _training_images(config, data, train_name)
        for flag, least in (
            ("num_clusters", config.num_clusters),
            ("unsup_batch_size", config.unsup_batch_size),
        ):
            if least > len(images):
                raise UserError(f"--{flag}={least} is more than the {len(images)} training images")
        image_shape = images.shape[1:]
        if config.crop_size > min(image_shape[:2]):
            raise UserError(
                f"--crop_size={config.crop_size} is larger than the images of {image_shape[0]} x "
                f"{image_shape[1]} pixels; --new_size resizes them first"
            )
        pool = np.arange(len(images))
        # Without their labels, so that nothing can use them.
        train = Split(images, None)
        evaluation = Split(data.splits[test_name or train_name].images, None)

        size, seed = config.unsup_batch_size, config.seed
        sampler = sampling.Sampler([pool], size, seed, sampling.UNLABELLED)

        @functools.cache
        def source(inputs):
            return pipelines.source(inputs(images))

        def batches(first_step, inputs=pipelines.images_themselves):
            return pipelines.in_order(
                pipelines.unlabelled_batches(source(inputs), sampler, first_step)
            )

        notes = data.notes
        if train_name == "train" and not extra_names and _has_unlabelled(config):
            notes += ("The images of unlabelled are not used; --extra_split=unlabelled adds them.",)
        clusters = tuple(map(str, range(config.num_clusters)))
        return ImageData(
            batches=batches,
            evaluation=evaluation,
            evaluated_on="test images" if test_name else "training images",
            class_names=clusters,
            image_shape=image_shape,
            train=train,
            class_pools=[],
            evaluated_examples=len(evaluation.images),
            measured={"evaluation": evaluation},
            record={
                "class_names": list(clusters),
                "image_shape": list(image_shape),
                "train_images": len(images),
                "train_fingerprint": fingerprint(train),
                "evaluation_images": len(evaluation.images),
                "evaluation_fingerprint": fingerprint(evaluation),
            },
            notes=notes,
        )

    def augmentation(self, config, seed):
        """Build the pipeline of a configuration: see `Task`."""
        from clustering.augmentation import PIPELINES, resolve
        from semisup import augmentation

        name = resolve(config.augmentation, config.dataset)
        return augmentation.build(name, seed, PIPELINES)

    def build_model(self, config, record, data=None):
        """Build and compile the `ClusteringModel` of a configuration: see `Task`."""
        from clustering.model import ClusteringModel
        from clustering.schedules import Phases
        from semisup.association import Association
        from semisup.augmentation import RandomWindow
        from semisup.models.optimizers import RestartableAdam

        image_shape = tuple(record["image_shape"])
        size, switch = config.crop_size, config.reg_warmup_steps
        seen = (size, size, image_shape[2]) if size else image_shape
        alpha, beta = config.cluster_association_weight, config.reg_association_weight
        later = functools.partial(Phases, 0.0, switch=switch, ramp=config.cluster_ramp_steps)
        association = functools.partial(
            Association, measure=config.similarity_measure, temperature=config.temperature
        )

        def reduced(weight):
            return Phases(weight, weight * config.reg_decay_factor, switch)

        with building.dtype_policy(config):
            model = ClusteringModel(
                building.build_network(config, seen, data and data.train.images),
                len(record["class_names"]),
                augmentation=building.build_augmentation(self, config),
                cluster_association=association(later(alpha), later(alpha * config.visit_weight)),
                augmentation_association=association(
                    reduced(beta), reduced(beta * config.rvisit_weight)
                ),
                norm_weight=config.norm_weight,
                norm_target=config.norm_target,
                transformation_weight=later(config.trafo_weight),
                classification_weight=later(config.logit_weight),
                augmentations_per_image=config.num_augmented_samples,
                centroids_per_cluster=config.virtual_embeddings_per_class,
                window=RandomWindow(size, seed=config.seed) if size else None,
                seed=config.seed,
                classifier_regularizer=building.classifier_regularizer(),
                joint_batch_statistics=config.joint_batch_statistics,
                average_decay=config.average_decay,
                name="model",
            )
            model.build((None, *image_shape))
        return building.compile_model(config, model, RestartableAdam)

    def callbacks(self, config, data, predictor, keep):
        """Place the centroids, once: see `Task`."""
        if not config.init_with_kmeans:
            return []
        from clustering.centroids import PlaceCentroids

        return [
            PlaceCentroids(
                data.train.images,
                config.reg_warmup_steps,
                config.centroid_noise,
                config.seed,
                predictor=predictor,
                on_placed=keep,
            )
        ]

    def measure(self, predictor, data):
        """Measure what can be said without labels: see `Task`.

        Returns the numbers of `describe`, and the number of images of each cluster,
        `cluster_size/NAME`.
        """
        logits, _ = predictor.outputs(data.evaluation.images)
        numbers, sizes = describe(evaluation.probabilities(logits))
        named = zip(data.class_names, sizes, strict=True)
        return {**numbers, **{f"cluster_size/{name}": int(size) for name, size in named}}

    def headline(self, data, measured):
        """Say how large the clusters are, and how sure it is of them: see `Task`."""
        sizes = [value for name, value in measured.items() if name.startswith("cluster_size/")]
        return (
            f"{len(sizes)} clusters of {min(sizes):,} to {max(sizes):,} {data.evaluated_on}, "
            f"confidence {100 * measured['confidence']:.1f} %,"
        )

    def unlabelled_images(self, config):
        """Return data set and split of the images to train on: see `Task`."""
        return config.dataset, _split_names(config)[0]

    def reporter_class(self):
        """Return the `ClusteringReporter`: see `Task`."""
        from clustering.reporting import ClusteringReporter

        return ClusteringReporter

    def projected_groups(self, predictor, data, shown):
        """Return the clusters of images: see `Task`."""
        return predictor.labels(shown.images)


TASK = Clustering()


def load_classes(config):
    """The classes of the evaluated images, for those who measure and never for training.

    Args:
        config: a `TrainConfig`.

    Returns:
        The names of the classes and the (n,) labels of the images of `load_data(...).evaluation`;
        no names and None if they have none.
    """
    name = evaluated_split(config)
    data = _load(config, name)
    labels = data.splits[name].labels
    return ((), None) if labels is None else (data.class_names, labels)


def evaluated_split(config):
    """Name of the split that is evaluated on: the test images, or else those to train on."""
    train_name, test_name = _split_names(config)
    return test_name or train_name


def describe(probabilities):
    """How sure a clustering is, and how alike in size its clusters are.

    Args:
        probabilities: (n, k) of images to belong to clusters.

    Returns:
        Dictionary with the `confidence`, the mean probability of the most probable cluster, and the
        `size_entropy`, that of the clusters' shares of the images as a fraction of its greatest
        value, 1 where all clusters have the same size; and the (k,) int64 sizes, the images for
        which each cluster is the most probable one.
    """
    sizes = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    numbers = {
        "confidence": float(probabilities.max(axis=1).mean()),
        "size_entropy": float(size_entropy(sizes)),
    }
    return numbers, sizes


def _split_names(config):
    """Names of the splits to train and to test on; None if there are no test images.

    Images without any class are a split of their own, of folders alone.
    """
    names = open_dataset(config.dataset, **config.reading, labelled=False).sources
    unsorted = is_folder(config.dataset) and "train" not in names
    train = config.unsup_split or ("unlabelled" if unsorted else "train")
    return train, "test" if "test" in names else None


def _has_unlabelled(config):
    if not is_folder(config.dataset):
        return False
    contents = open_dataset(config.dataset, **config.reading, labelled=False)
    return "unlabelled" in contents.sources


def _same_split(one, other):
    return SPLIT_ALIASES.get(one, one) == SPLIT_ALIASES.get(other, other)


def _load(config, *splits):
    return load_dataset(
        config.dataset,
        **config.reading,
        cache_dir=config.cache_dir,
        splits=tuple(dict.fromkeys(splits)),
        labelled=False,
    )


def _training_images(config, data, train_name):
    """All images to train on, (n, height, width, channels) uint8."""
    images = data.splits[train_name].images
    chosen = [(images, _rows(images, "unsup_samples", config.unsup_samples, config.seed))]
    if config.extra_split:
        extra = data.splits[config.extra_split].images
        count = config.num_unlabeled_images
        chosen.append((extra, _rows(extra, "num_unlabeled_images", count, config.seed)))
    elif config.unsup_samples < 0:
        # As it is, whether in memory or not.
        return images
    size = sum(len(rows) for _, rows in chosen) * math.prod(images.shape[1:])
    if size > MEMORY_LIMIT_BYTES:
        raise UserError(
            f"the chosen training images are {size / 2**30:.1f} GB, and only a whole split may be "
            f"larger than {MEMORY_LIMIT_BYTES / 2**30:.0f} GB: lower --unsup_samples or "
            "--num_unlabeled_images"
        )
    return np.concatenate([images[rows] for images, rows in chosen])


def _rows(images, flag, samples, seed):
    with rephrased(samples=f"--{flag}={{value}}: {{reason}}"):
        return labelled_subset.choose_pool(len(images), samples, seed)
