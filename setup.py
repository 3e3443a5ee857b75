"""Package metadata: `pip install .` or `pip install '.[jax]'`."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"semisup needs Python 3.11 to 3.13, not {sys.version.split()[0]}")

HERE = Path(__file__).parent

setup(
    name="semisup",
    version=re.search(r'__version__ = "(.+)"', (HERE / "semisup/__init__.py").read_text())[1],
    description="Learning by association: train image classifiers with few labels, on Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["semisup", "semisup.*"]),
    package_data={"semisup": ["recipes/*.flags"]},
    python_requires=">=3.11,<3.14",
    install_requires=[
        "absl-py>=2.1,<3",
        "importlib_resources>=6,<8",
        "keras>=3.15,<3.16",
        "matplotlib>=3.8,<4",
        "mlxtend>=0.23,<0.26",
        "numpy>=1.26,<3",
        "pillow>=10,<14",
        "scikit-learn>=1.4,<2",
        "tensorboard>=2.20,<2.22",
        "tensorflow>=2.20,<2.22",
        "tensorflow-datasets>=4.9.9,<4.10",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.20,<2.22"],
        "jax": ["jax>=0.5,<0.11"],
        "jax-gpu": ["jax[cuda13]>=0.5,<0.11"],
        "test": ["jax>=0.5,<0.11", "pytest>=8,<10", "pytest-xdist>=3.6,<4", "ruff>=0.9,<0.18"],
    },
    entry_points={
        "console_scripts": [
            "semisup-train = semisup.train:main",
            "semisup-eval = semisup.eval:main",
        ]
    },
)
