"""Package metadata: `pip install .` or `pip install '.[jax]'`."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"semisup needs Python 3.11 to 3.13, not {sys.version.split()[0]}")

HERE = Path(__file__).parent

# Pinned: what is rendered depends on the bytes of the fonts.
FONTS = [
    "font-caladea==0.0.2",
    "font-fredoka-one==0.0.4",
    "font-hanken-grotesk==0.0.2",
    "font-intuitive==0.0.4",
    "font-lato==0.1.0",
    "font-manrope==0.0.2",
    "font-roboto==0.0.1",
    "font-source-serif-pro==0.0.1",
    "mplhep_data==0.1.0",
    "ttf-opensans==2020.10.30",
]

TASKS = ["semisup", "domain_adaptation", "clustering", "multimodal", "segmentation"]

setup(
    name="semisup",
    version=re.search(r'__version__ = "(.+)"', (HERE / "semisup/__init__.py").read_text())[1],
    description="Learning by association: train classifiers with few labels or none, on Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords="semi-supervised learning, domain adaptation, deep clustering, keras",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    packages=find_packages(include=[*TASKS, "semisup.*"]),
    package_data={
        **{task: ["py.typed", "recipes/*.flags"] for task in TASKS},
        "semisup.report.page": ["page.css", "page.js", "templates/*.html"],
    },
    python_requires=">=3.11,<3.14",
    install_requires=[
        "absl-py>=2.1,<3",
        "h5py>=3.11,<4",
        "importlib_resources>=6,<8",
        "jinja2>=3.1.3,<4",
        "joblib>=1.3,<2",
        "keras>=3.15,<3.16",
        "markupsafe>=2.1,<4",
        "matplotlib>=3.8,<4",
        "ml_dtypes>=0.5.1,<0.7",
        "mlxtend>=0.23,<0.26",
        "msgspec>=0.22,<0.24",
        "numpy>=1.26,<3",
        "pandas>=2.1,<4",
        "pillow>=11.3,<14",
        "scikit-learn>=1.5,<2",
        "scipy>=1.12,<2",
        "tensorboard>=2.20,<2.22",
        "tensorflow>=2.20,<2.22",
        "tensorflow-datasets>=4.9.10,<4.10",
        "threadpoolctl>=3.2,<4",
        "wrapt>=1.14,<3",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.20,<2.22"],
        "jax": ["jax>=0.9,<0.11"],
        "jax-gpu": ["jax[cuda13]>=0.9,<0.11"],
        "torch": ["torch>=2.6,<3"],
        "onnx": ["onnx>=1.18,<2", "onnxruntime>=1.20,<2", "tf2onnx>=1.17,<2"],
        "heic": ["pillow-heif>=0.16,<2"],
        "hub": ["keras-hub>=0.30,<0.40"],
        "fonts": FONTS,
        "search": ["optuna>=4.9,<5"],
        "cluster": ["ray>=2.40,<3"],
        "test": [
            "hypothesis>=6.170,<7",
            "jax>=0.9,<0.11",
            "optuna>=4.9,<5",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            "ruff>=0.9,<0.18",
            *FONTS,
        ],
    },
    entry_points={
        "console_scripts": [
            "semisup-train = semisup.train:main",
            "semisup-eval = semisup.eval:main",
            "semisup-predict = semisup.predict:main",
            "semisup-label = semisup.label:main",
            "semisup-export = semisup.export:main",
            "domain-adaptation-train = domain_adaptation.train:main",
            "domain-adaptation-eval = domain_adaptation.eval:main",
            "clustering-train = clustering.train:main",
            "clustering-eval = clustering.eval:main",
            "multimodal-train = multimodal.train:main",
            "multimodal-eval = multimodal.eval:main",
            "multimodal-search = multimodal.search:main",
            "segmentation-train = segmentation.train:main",
            "segmentation-eval = segmentation.eval:main",
            "segmentation-predict = segmentation.predict:main",
        ]
    },
)
