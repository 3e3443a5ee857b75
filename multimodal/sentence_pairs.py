"""Pairs of sentences with people's scores of how alike they are: SICK and STS, as published."""

import collections
import csv
import io
import re
from typing import NamedTuple

import numpy as np

from semisup.errors import UserError
from semisup.files import csv_files

_SICK = ("sentence_A", "sentence_B", "relatedness_score")
_STS_BENCHMARK = (5, 6, 4)
_SCORED = (1, 2, 0)


class SentencePairs(NamedTuple):
    """Pairs of sentences.

    Attributes:
        first: list of n sentences.
        second: list of n sentences.
        scores: (n,) float, the greater the more alike.
    """

    first: list
    second: list
    scores: np.ndarray

    def without(self, sentences):
        """Return the pairs of which neither sentence is one of some others, but for punctuation.

        Args:
            sentences: iterable of strings.
        """
        others = set(map(_plain, sentences))
        kept = [
            place
            for place, pair in enumerate(zip(self.first, self.second, strict=True))
            if others.isdisjoint(map(_plain, pair))
        ]
        first, second = ([side[place] for place in kept] for side in (self.first, self.second))
        return SentencePairs(first, second, self.scores[kept])


def read(path):
    """Read a published file of scored pairs.

    Args:
        path: the file, of columns separated by tabs: SICK's, with its headings; the STS
            benchmark's, without any; or score, sentence, sentence, as the tasks STS 2012 to 2016
            have them. Pairs without a score are left out.

    Returns:
        The `SentencePairs`.

    Raises:
        UserError: the file cannot be read, or is none of these.
    """
    text = io.StringIO(csv_files.content("sentence_pairs", path), newline="")
    try:
        rows = list(csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
    except csv.Error as error:
        raise UserError(f"--sentence_pairs={path}: {error}") from None
    rows = [row for row in rows if row]
    if rows and set(_SICK) <= set(rows[0]):
        headings = rows.pop(0)
        places = [headings.index(name) for name in _SICK]
    else:
        places = _STS_BENCHMARK if rows and len(rows[0]) > 3 else _SCORED
    try:
        cells = [[row[place].strip() for place in places] for row in rows]
        cells = [(first, second, float(score)) for first, second, score in cells if score]
        first, second, scores = map(list, zip(*cells, strict=True))
        if not np.all(np.isfinite(scores)):
            raise ValueError
    except (IndexError, ValueError):
        raise UserError(
            f"--sentence_pairs={path} is no file of SICK or STS: columns separated by tabs, a "
            "score and two sentences among them"
        ) from None
    return SentencePairs(first, second, np.array(scores))


def _plain(sentence):
    return " ".join(re.sub(r"[^\w\s]", "", sentence.lower()).split())


def word_cosines(first, second):
    """Compute the cosines of pairs of sentences by their words alone.

    Args:
        first: (n, length) numbers of words, 0 where there is none.
        second: the same of the other sentences.

    Returns:
        (n,) float, the cosines of the averages of the words' one-hot vectors.
    """
    return np.array([_word_cosine(*pair) for pair in zip(first, second, strict=True)])


def _word_cosine(*sentences):
    one, other = (collections.Counter(words[words > 0].tolist()) for words in sentences)
    product = sum(count * other[word] for word, count in one.items())
    lengths = [sum(count**2 for count in words.values()) ** 0.5 for words in (one, other)]
    return product / max(lengths[0] * lengths[1], 1e-12)
