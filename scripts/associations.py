"""What `benchmark.py --association` measures: time and memory of the association of large batches.

Each measurement has a process of its own, which tells how far its memory rises.
"""

import multiprocessing

import numpy as np

WIDTH = 128
ALL_PAIRS, CHOSEN = "all pairs", "as chosen"
MEASUREMENTS = (
    # n = m, classes, forms, turns.
    (100, 10, (ALL_PAIRS, CHOSEN), 200),
    (8_192, 1_024, (ALL_PAIRS, CHOSEN), 1),
    (65_536, 8_192, (CHOSEN,), 1),
)


def measure(measurements=MEASUREMENTS):
    """Measure the forward and backward pass of the association, from embeddings.

    Args:
        measurements: for each, the sizes of both batches, the number of classes, the forms, and how
            often each form is timed in a turn. There are three turns, of which the fastest counts,
            or one where a turn has one pass.

    Returns:
        A list of dictionaries: `size`, `classes`, `form`, `seconds` of a pass, and `memory_mib`
        that it takes beside the program and its inputs, where the system tells.
    """
    # A forked process would have the memory and the threads of this one.
    context = multiprocessing.get_context("spawn")
    measured = []
    for size, classes, forms, turns in measurements:
        for form in forms:
            with context.Pool(1) as pool:
                seconds, memory = pool.apply(_measure, (size, classes, form, turns))
            measured.append(
                {
                    "size": size,
                    "classes": classes,
                    "form": form,
                    "seconds": float(f"{seconds:.4g}"),
                    "memory_mib": memory,
                }
            )
            print(_line(measured[-1]), flush=True)
    return measured


def ratios(measured):
    """Compare the forms of each size.

    Args:
        measured: what `measure` returned.

    Returns:
        Dictionary from names to the time or memory of the chosen form as a share of that of all
        pairs.
    """
    by_form = {(entry["size"], entry["form"]): entry for entry in measured}
    shares = {}
    for (size, form), entry in by_form.items():
        pairs = by_form.get((size, ALL_PAIRS))
        if form == ALL_PAIRS or pairs is None:
            continue
        for name in ("seconds", "memory_mib"):
            if entry[name] and pairs[name]:
                share = entry[name] / pairs[name]
                shares[f"{name} at {size:,} + {size:,}"] = float(f"{share:.4g}")
    return shares


def _line(entry):
    memory = entry["memory_mib"]
    return (
        f"{entry['size']:,} + {entry['size']:,} embeddings, {entry['classes']:,} classes, "
        f"{entry['form']}: {entry['seconds']:.4g} s"
        + ("" if memory is None else f", {memory:,} MiB")
    )


def _measure(size, classes, form, turns):
    """Return the seconds of a pass and its memory in MiB; runs in a process of its own."""
    from scripts.contestants import memory_in_use, rate, similarity_gradients
    from semisup import association

    if form == ALL_PAIRS:
        association.BLOCKED_PAIRS = np.inf
    labels = np.random.default_rng(0).permutation(np.arange(size) % classes)
    term = association.Association()
    # What a first call of anything takes is none of its own.
    similarity_gradients(term, np.arange(8) % 2, 8, WIDTH)
    before = memory_in_use().get("resident")
    compute = similarity_gradients(term, labels, size, WIDTH, warm_up=turns > 1)
    fastest = max(rate(compute, turns) for _ in range(3 if turns > 1 else 1))
    peak = memory_in_use().get("peak")
    return 1 / fastest, None if peak is None else peak - before
