"""NumPy archives (`.npz`), read without running, waiting for or unpacking what was not written."""

import os
import zipfile

import numpy as np

from semisup.files.opening import open_regular


def read_archive(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read all arrays of an archive that `np.savez` wrote.

    It takes no more memory than the file has bytes.

    Args:
        path: the file.

    Returns:
        The arrays by their names.

    Raises:
        Exception: if it is no such archive, or a damaged one; a flipped bit in its headers makes
            NumPy raise nearly anything, of which `OSError` and `ValueError` are the most frequent.
    """
    with open_regular(path) as file, np.load(file, allow_pickle=False) as archive:
        members = archive.zip.infolist()
        size = os.fstat(file.fileno()).st_size
        # `np.savez` does not compress, so a small file cannot stand for a huge array.
        are_stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not are_stored or sum(member.file_size for member in members) > size:
            raise ValueError("its arrays are compressed")
        return {name: archive[name] for name in archive.files}
