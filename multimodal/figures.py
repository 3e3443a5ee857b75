"""The figures of images and sentences: what each finds of the other."""

import numpy as np
from matplotlib.patches import Rectangle

from semisup.report.figures.drawing import (
    FONT_SIZE,
    draw_image,
    draw_score,
    new_page,
    shortened,
)

_FOUND = 5
_QUERIES = 6
_WIDTH = 1.0
_GAP = 0.08
_LINE = 0.17
_TEXT_WIDTH = 4.8
_RIGHT, _WRONG = "#1a7f37", "0.25"


def drawings(config, data, predictor):
    """Return functions that draw the figures of a run.

    Args:
        config: its `TrainConfig`.
        data: its `PairData`.
        predictor: its `PairPredictor`, with the weights that the run is evaluated with.

    Returns:
        Dictionary from names to functions without arguments that draw a figure.
    """
    held_out = data.evaluation
    images = predictor.embeddings(held_out.images)
    sentences = predictor.sentence_embeddings(held_out.captions)
    similarities = images @ sentences.T
    return {
        "sentences_of_images": lambda: sentences_figure(held_out, similarities, config.seed),
        "images_of_sentences": lambda: images_figure(held_out, similarities, config.seed),
    }


def sentences_figure(captioned, similarities, seed):
    """Draw images beside the sentences that are most similar to them; their own are green.

    Args:
        captioned: `Captioned` images.
        similarities: (images, sentences) float.
        seed: seed of the choice of images.

    Returns:
        The figure.
    """
    shown = _chosen(len(captioned.images), seed)
    aspect = captioned.images.shape[1] / captioned.images.shape[2]
    step = max(_WIDTH * aspect, _FOUND * _LINE) + _GAP
    figure, axes = new_page(_WIDTH + _GAP + _TEXT_WIDTH, len(shown) * step - _GAP)
    for row, image in enumerate(shown):
        draw_image(axes, captioned.images[image], 0, row * step, _WIDTH)
        for line, sentence in enumerate(_nearest(similarities[image])):
            own = captioned.numbers[sentence] == image
            text = f"{similarities[image, sentence]:.2f}  {captioned.captions[sentence]}"
            axes.text(
                _WIDTH + _GAP,
                row * step + line * _LINE,
                shortened(text, _TEXT_WIDTH, FONT_SIZE),
                size=FONT_SIZE,
                color=_RIGHT if own else _WRONG,
                va="top",
            )
    return figure


def images_figure(captioned, similarities, seed):
    """Draw sentences above the images that are most similar to them; their own has a frame.

    Args:
        captioned: `Captioned` images.
        similarities: (images, sentences) float.
        seed: seed of the choice of sentences.

    Returns:
        The figure.
    """
    shown = _chosen(len(captioned.captions), seed)
    aspect = captioned.images.shape[1] / captioned.images.shape[2]
    step = 1.3 * _LINE + _WIDTH * aspect + 2 * _GAP
    width = _FOUND * (_WIDTH + _GAP) - _GAP
    figure, axes = new_page(width, len(shown) * step - _GAP)
    for row, sentence in enumerate(shown):
        top = row * step
        text = shortened(captioned.captions[sentence], width, FONT_SIZE)
        axes.text(0, top, text, size=FONT_SIZE, va="top")
        top += 1.3 * _LINE
        for place, image in enumerate(_nearest(similarities[:, sentence])):
            left = place * (_WIDTH + _GAP)
            draw_image(axes, captioned.images[image], left, top, _WIDTH)
            draw_score(axes, similarities[image, sentence], left, top)
            if captioned.numbers[sentence] == image:
                frame = (left, top), _WIDTH, _WIDTH * aspect
                axes.add_patch(Rectangle(*frame, fill=False, ec=_RIGHT, lw=3))
    return figure


def _chosen(count, seed):
    drawn = np.random.default_rng([seed, 0xF16]).permutation(count)
    return np.sort(drawn[:_QUERIES])


def _nearest(similarities):
    return np.argsort(-similarities, kind="stable")[:_FOUND]
