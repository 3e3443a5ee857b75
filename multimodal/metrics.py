"""How well images and sentences find each other, and sentences each other (by people's scores)."""

import numpy as np

RECALL_AT = (1, 5, 10)
_BLOCK = 1024


def ranks(queries, candidates, query_numbers, candidate_numbers):
    """Find at which place each query finds the first candidate that belongs to it.

    A wrong candidate that is as similar as the right one counts as more similar, so that embeddings
    that are all alike find nothing.

    Args:
        queries: (n, d) float embeddings of length 1.
        candidates: (m, d) float embeddings of length 1.
        query_numbers: (n,) int, what each query belongs to.
        candidate_numbers: (m,) int, the same of the candidates; each query's number is among them.

    Returns:
        (n,) int, 1 or more.
    """
    found = []
    for start in range(0, len(queries), _BLOCK):
        similarities = queries[start : start + _BLOCK] @ candidates.T
        right = query_numbers[start : start + _BLOCK, None] == candidate_numbers[None, :]
        best = np.where(right, similarities, -np.inf).max(axis=1, keepdims=True)
        # What is no number has found nothing, either.
        found.append(1 + np.sum(~right & ~(similarities < best), axis=1))
    return np.concatenate(found)


def retrieval(images, sentences, numbers):
    """Measure how well images find their sentences, and sentences their image.

    Args:
        images: (n, d) float embeddings of length 1.
        sentences: (m, d) float embeddings of length 1.
        numbers: (m,) int, for each sentence the image that it belongs to; every image has one.

    Returns:
        Floats by name: recalls at 1, 5 and 10, and median ranks, in both directions.
    """
    own = np.arange(len(images))
    directions = {
        "image_to_sentence": ranks(images, sentences, own, numbers),
        "sentence_to_image": ranks(sentences, images, numbers, own),
    }
    measured = {}
    for direction, places in directions.items():
        for most in RECALL_AT:
            measured[f"{direction}_recall_at_{most}"] = float(np.mean(places <= most))
        measured[f"{direction}_median_rank"] = float(np.median(places))
    return measured


def agreement(similarities, scores):
    """Correlate similarities of pairs of sentences with people's scores.

    Args:
        similarities: (n,) float.
        scores: (n,) float.

    Returns:
        Dictionary with `spearman` and `pearson`, the correlations; 0 where all similarities, or
        all scores, are equal.
    """
    from scipy import stats

    if np.ptp(similarities) == 0 or np.ptp(scores) == 0:
        return {"spearman": 0.0, "pearson": 0.0}
    return {
        "spearman": float(stats.spearmanr(similarities, scores).statistic),
        "pearson": float(stats.pearsonr(similarities, scores).statistic),
    }
