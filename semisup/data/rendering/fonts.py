"""The fonts that digits are rendered with: open ones, out of installed Python packages.

What is rendered depends on every byte of them, so the list is fixed, and so is each package's
content. matplotlib is there anyway, the others come with `pip install '.[fonts]'`. All are under
the SIL Open Font License, the Apache License or terms as free (Bitstream Vera, STIX, GUST). None is
so thin or narrow that a small, blurred digit would be hard to read.
"""

import dataclasses
import functools
import hashlib
import importlib.util
from pathlib import Path

from semisup.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Package:
    """Faces out of one package: 18 families in 11 packages.

    Attributes:
        name: what pip calls it.
        folder: where its fonts are, from the package on.
        digest: the first 16 hexadecimal digits of the SHA-256 of all the files below, in order.
        files: paths below the folder.
    """

    name: str
    folder: str
    digest: str
    files: tuple[str, ...]

    def paths(self) -> list[Path]:
        """Return the files, after a look at their bytes.

        Raises:
            UserError: the package is missing, or has other fonts.
        """
        module, _, folder = self.folder.partition("/")
        spec = importlib.util.find_spec(module)
        if spec is None:
            raise UserError(
                f"rendering digits needs fonts of the package {self.name}, which is missing; "
                "install them all with pip install '.[fonts]'"
            )
        paths = [Path(spec.submodule_search_locations[0], folder, file) for file in self.files]
        digest = hashlib.sha256()
        for path in paths:
            digest.update(path.read_bytes() if path.is_file() else b"")
        if digest.hexdigest()[:16] != self.digest:
            raise UserError(
                f"the fonts in the installed package {self.name} are not those that digits are "
                "rendered with; install these with pip install -c constraints.txt '.[fonts]'"
            )
        return paths


_PACKAGES = (
    _Package(
        "matplotlib",
        "matplotlib/mpl-data/fonts/ttf",
        "261cfb420bd5e1b5",
        (
            "DejaVuSans.ttf",
            "DejaVuSans-Oblique.ttf",
            "DejaVuSans-Bold.ttf",
            "DejaVuSans-BoldOblique.ttf",
            "DejaVuSerif.ttf",
            "DejaVuSerif-Italic.ttf",
            "DejaVuSerif-Bold.ttf",
            "DejaVuSerif-BoldItalic.ttf",
            "STIXGeneral.ttf",
            "STIXGeneralBol.ttf",
        ),
    ),
    _Package(
        "mplhep_data",
        "mplhep_data/fonts",
        "a3d1a8ca44bbfcda",
        (
            "firasans/FiraSans-Light.ttf",
            "firasans/FiraSans-Regular.ttf",
            "firasans/FiraSans-Italic.ttf",
            "firasans/FiraSans-SemiBold.ttf",
            "firasans/FiraSans-Bold.ttf",
            "firasans/FiraSans-BoldItalic.ttf",
            "firasans/FiraSans-Black.ttf",
            "latinmodernroman/lmroman8-regular.otf",
            "latinmodernroman/lmroman10-bold.otf",
            "latinmodernroman/lmromandemi10-oblique.otf",
            "latinmodernsans/lmsans8-regular.otf",
            "latinmodernsans/lmsans10-bold.otf",
            "latinmodernsans/lmsansdemicond10-regular.otf",
            "latinmodernsans/lmsansquot8-regular.otf",
            "latinmodernsans/lmsansquot8-bold.otf",
            "texgyreheros/texgyreheros-regular.otf",
            "texgyreheros/texgyreheros-italic.otf",
            "texgyreheros/texgyreheros-bold.otf",
            "texgyreheros/texgyreheros-bolditalic.otf",
            "texgyreheros/texgyreheroscn-regular.otf",
            "texgyreheros/texgyreheroscn-italic.otf",
            "texgyreheros/texgyreheroscn-bold.otf",
            "texgyreheros/texgyreheroscn-bolditalic.otf",
            "texgyretermes/texgyretermes-regular.otf",
            "texgyretermes/texgyretermes-italic.otf",
            "texgyretermes/texgyretermes-bold.otf",
            "texgyretermes/texgyretermes-bolditalic.otf",
        ),
    ),
    _Package(
        "font-caladea",
        "font_caladea/files",
        "daaa8ce5746b22d3",
        (
            "Caladea-Regular.ttf",
            "Caladea-Italic.ttf",
            "Caladea-Bold.ttf",
            "Caladea-BoldItalic.ttf",
        ),
    ),
    _Package(
        "font-fredoka-one",
        "font_fredoka_one/files",
        "a2fbb1416510efe2",
        ("FredokaOne-Regular.ttf",),
    ),
    _Package(
        "font-hanken-grotesk",
        "font_hanken_grotesk/files",
        "769be94bc32dd754",
        (
            "HankenGrotesk-Light.otf",
            "HankenGrotesk-Regular.otf",
            "HankenGrotesk-Italic.otf",
            "HankenGrotesk-SemiBold.otf",
            "HankenGrotesk-Bold.otf",
            "HankenGrotesk-BoldItalic.otf",
        ),
    ),
    _Package("font-intuitive", "font_intuitive/files", "8e179d0b80ee7e27", ("Intuitive.ttf",)),
    _Package(
        "font-lato",
        "font_lato/files",
        "8fdbc1228f8a39e1",
        (
            "Lato-Light.ttf",
            "Lato-Regular.ttf",
            "Lato-Italic.ttf",
            "Lato-Bold.ttf",
            "Lato-BoldItalic.ttf",
            "Lato-Black.ttf",
        ),
    ),
    _Package(
        "font-manrope",
        "font_manrope/files",
        "74dbfa549ada1e47",
        (
            "Manrope-Light.ttf",
            "Manrope-Regular.ttf",
            "Manrope-SemiBold.ttf",
            "Manrope-ExtraBold.ttf",
        ),
    ),
    _Package(
        "font-roboto",
        "font_roboto/files",
        "141e5b7fa7a039b4",
        (
            "Roboto-Light.ttf",
            "Roboto-Regular.ttf",
            "Roboto-Italic.ttf",
            "Roboto-Medium.ttf",
            "Roboto-Bold.ttf",
            "Roboto-BoldItalic.ttf",
            "Roboto-Black.ttf",
        ),
    ),
    _Package(
        "font-source-serif-pro",
        "font_source_serif_pro/files",
        "14f36eec6fb2c145",
        (
            "SourceSerifPro-Light.otf",
            "SourceSerifPro-Regular.otf",
            "SourceSerifPro-It.otf",
            "SourceSerifPro-Semibold.otf",
            "SourceSerifPro-Bold.otf",
            "SourceSerifPro-BoldIt.otf",
            "SourceSerifPro-Black.otf",
        ),
    ),
    _Package(
        "ttf-opensans",
        "ttf_opensans/ttf",
        "45d8510dfd3ebf35",
        (
            "OpenSans-Light.ttf",
            "OpenSans-Regular.ttf",
            "OpenSans-Italic.ttf",
            "OpenSans-SemiBold.ttf",
            "OpenSans-Bold.ttf",
            "OpenSans-BoldItalic.ttf",
            "OpenSans-ExtraBold.ttf",
        ),
    ),
)


@functools.cache
def faces() -> tuple[Path, ...]:
    """Return the font files, 80 faces in a fixed order.

    Raises:
        UserError: a package of the list is missing, or has other fonts.
    """
    return tuple(path for package in _PACKAGES for path in package.paths())
