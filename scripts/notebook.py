"""Runs a notebook, and keeps what its cells print and draw, without any package of Jupyter.

    python -m scripts.notebook docs/few_labels.ipynb

The cells run in this process, in a temporary folder, so that the files they write are not kept.
"""

import argparse
import base64
import contextlib
import hashlib
import io
import json
import linecache
import os
import tempfile
from pathlib import Path

DOTS_PER_INCH = 64


def main():
    """Parse the command line, run the notebook, and write it anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    path = parser.parse_args().notebook
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        run(notebook)
    notebook["metadata"]["source"] = digest(notebook)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def code_cells(notebook):
    """Return the code cells of a notebook, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def digest(notebook):
    """Return a short name for the code of a notebook, which tells what its outputs are of."""
    code = json.dumps(["".join(cell["source"]) for cell in code_cells(notebook)])
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def run(notebook):
    """Run the code cells of a notebook in one namespace, and put their outputs into it.

    Args:
        notebook: content of the file: cells whose last statements have no value.

    Returns:
        The namespace.
    """
    # Before anything imports pyplot: figures are drawn into files.
    os.environ["MPLBACKEND"] = "agg"
    # Whoever looks for the module of a function finds one.
    names = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(_compiled("".join(cell["source"]), f"<cell {number}>"), names)
        lines = printed.getvalue().splitlines(keepends=True)
        text = [{"output_type": "stream", "name": "stdout", "text": lines}] if lines else []
        cell["execution_count"], cell["outputs"] = number, [*text, *_figures()]
    return names


def _compiled(source, name):
    # TensorFlow and tracebacks look for the source of functions there.
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    return compile(source, name, "exec")


def _figures():
    """Return the open figures as outputs of a cell, and close them."""
    from matplotlib import pyplot

    outputs = []
    for number in pyplot.get_fignums():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file, dpi=DOTS_PER_INCH, bbox_inches="tight")
        data = base64.b64encode(file.getvalue()).decode()
        outputs.append({"output_type": "display_data", "data": {"image/png": data}, "metadata": {}})
    pyplot.close("all")
    return outputs


if __name__ == "__main__":
    main()
