"""Clusters of photographs without labels: what k-means and spectral clustering find in features.

    python scripts/clusterings.py --dataset=folder:photos --architecture=network.keras \\
        --new_size=224 --seeds=3 --output=clusterings.json

They are what `clustering-train --recipe=photos_clusters` is compared with, on the features of the
same network and with as many clusters as there are classes. Labels only measure what was found.
"""

import sys
import time
from pathlib import Path

# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import heads
from semisup.cli import flags


def main():
    """Parse the command line, cluster by all methods, and write what was found."""
    arguments = heads.parser(__doc__.splitlines()[0]).parse_args()

    from clustering.metrics import agreement
    from scripts import findings
    from semisup.task import TASK

    config = heads.configuration(arguments)
    photographs = heads.load(TASK, config, config.dataset)
    count = len(photographs.class_names)
    found = {
        **heads.origin(arguments),
        "images": len(photographs.labels),
        "clusters": count,
        "methods": {name: [] for name in METHODS},
    }
    for seed in range(arguments.seeds):
        for name, method in METHODS.items():
            start = time.perf_counter()
            clusters = method(photographs.features[:, 0], count, seed)
            seconds = round(time.perf_counter() - start, 1)
            measured = agreement(photographs.labels, clusters, photographs.class_names, count)
            kept = {key: measured[key] for key in MEASURES}
            found["methods"][name].append({"seed": seed, **kept, "seconds": seconds})
        findings.write(arguments.output, found)
    for name, results in found["methods"].items():
        measured = {kind: [100 * result[kind] for result in results] for kind in MEASURES}
        shown = (f"{kind} {findings.spread(values)}" for kind, values in measured.items())
        print(f"{name:30s} {'  '.join(shown)}")


def k_means(features, count, seed):
    """Cluster features (n, f) as they are by k-means: (n,) clusters."""
    from clustering import centroids

    return centroids.k_means(features, count, seed).labels_


def k_means_of_centred(features, count, seed):
    """Cluster features of length 1 whose mean is moved to 0 by k-means."""
    from semisup.run.features import centred

    return k_means(centred(features[None])[0], count, seed)


def spectral(features, count, seed):
    """Cluster by scikit-learn's `SpectralClustering`, along the ten nearest neighbours of each."""
    from sklearn.cluster import SpectralClustering

    from semisup.run.features import centred

    method = SpectralClustering(
        count, affinity="nearest_neighbors", n_neighbors=10, random_state=seed
    )
    return method.fit_predict(centred(features[None])[0])


MEASURES = ("accuracy", "nmi", "ari")

METHODS = {
    "k-means": k_means,
    "k-means, centred features": k_means_of_centred,
    "spectral clustering": spectral,
}


if __name__ == "__main__":
    flags.guard(main, program="clusterings")
