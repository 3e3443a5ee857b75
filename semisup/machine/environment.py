"""What a result depends on besides its settings: versions, git commit and hardware."""

import contextlib
import os
import platform
import subprocess
from importlib import metadata

_VARIABLES = (
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DISABLE_JIT",
    "JAX_DISABLE_MOST_OPTIMIZATIONS",
    "NVIDIA_TF32_OVERRIDE",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
_CPU_INFO = "/proc/cpuinfo"
_PACKAGES = ("semisup", "tensorflow", "keras", "jax", "numpy", "tensorflow-datasets")


def backend():
    """Return the name of Keras' backend."""
    import keras

    return keras.backend.backend()


def versions():
    """Return the versions of Python and of the libraries that a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def variables():
    """Return those environment variables that are set and change how numbers are rounded."""
    return {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}


def git_commit():
    """Return the commit of the source tree, with `-dirty` if it was changed; None without one."""
    file = os.path.abspath(__file__)

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", os.path.dirname(file), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        # An installed copy may lie inside a repository that has nothing to do with it.
        git("ls-files", "--error-unmatch", file)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def hardware(devices=1):
    """Describe the processor and cores of this process, and the accelerators that Keras uses.

    Args:
        devices: number of devices that share batches.
    """
    import joblib

    name = platform.processor()
    with contextlib.suppress(OSError), open(_CPU_INFO, encoding="utf-8") as file:
        name = next((line.split(": ")[1] for line in file if line.startswith("model name")), name)
    return {
        "processor": name.strip(),
        "cores": joblib.cpu_count(),
        "accelerators": _accelerators(devices),
    }


def emulates_bfloat16(hardware):
    """Return whether the processor computes without instructions for bfloat16, as far as is known.

    It then takes longer than in float32, and TensorFlow rounds more often: it may not fuse a
    convolution with its activation.

    Args:
        hardware: what `hardware` returned.
    """
    if hardware["accelerators"]:
        return False
    try:
        with open(_CPU_INFO, encoding="utf-8") as file:
            return "bf16" not in file.read()
    except OSError:
        return False


def devices_text(hardware):
    """Describe the devices that were computed on, in a few words.

    Args:
        hardware: what `hardware` returned.
    """
    names, cores = hardware["accelerators"], hardware["cores"]
    if names:
        return f"{len(names)} x {names[0]}" if len(names) > 1 else names[0]
    return f"{cores} CPU core{'s' * (cores > 1)}"


def _accelerators(devices):
    """Return the names of the first devices that models run on, unless they are processors."""
    if backend() == "jax":
        import jax

        used = jax.devices()[:devices]
        return [device.device_kind for device in used if device.platform != "cpu"]
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.get_visible_devices("GPU")[:1]
    ]
