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


def _styles(name: str, styles: str) -> tuple[str, ...]:
    """Return the files of a family, whose names have a style each in place of `{}`."""
    return tuple(name.format(style) for style in styles.split())


_PACKAGES = (
    _Package(
        "matplotlib",
        "matplotlib/mpl-data/fonts/ttf",
        "261cfb420bd5e1b5",
        (
            *_styles("DejaVu{}.ttf", "Sans Sans-Oblique Sans-Bold Sans-BoldOblique"),
            *_styles("DejaVu{}.ttf", "Serif Serif-Italic Serif-Bold Serif-BoldItalic"),
            *_styles("STIX{}.ttf", "General GeneralBol"),
        ),
    ),
    _Package(
        "mplhep_data",
        "mplhep_data/fonts",
        "a3d1a8ca44bbfcda",
        (
            *_styles(
                "firasans/FiraSans-{}.ttf", "Light Regular Italic SemiBold Bold BoldItalic Black"
            ),
            *_styles(
                "latinmodernroman/{}.otf", "lmroman8-regular lmroman10-bold lmromandemi10-oblique"
            ),
            *_styles(
                "latinmodernsans/lmsans{}.otf",
                "8-regular 10-bold demicond10-regular quot8-regular quot8-bold",
            ),
            *_styles("texgyreheros/texgyreheros-{}.otf", "regular italic bold bolditalic"),
            *_styles("texgyreheros/texgyreheroscn-{}.otf", "regular italic bold bolditalic"),
            *_styles("texgyretermes/texgyretermes-{}.otf", "regular italic bold bolditalic"),
        ),
    ),
    _Package(
        "font-caladea",
        "font_caladea/files",
        "daaa8ce5746b22d3",
        _styles("Caladea-{}.ttf", "Regular Italic Bold BoldItalic"),
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
        _styles("HankenGrotesk-{}.otf", "Light Regular Italic SemiBold Bold BoldItalic"),
    ),
    _Package("font-intuitive", "font_intuitive/files", "8e179d0b80ee7e27", ("Intuitive.ttf",)),
    _Package(
        "font-lato",
        "font_lato/files",
        "8fdbc1228f8a39e1",
        _styles("Lato-{}.ttf", "Light Regular Italic Bold BoldItalic Black"),
    ),
    _Package(
        "font-manrope",
        "font_manrope/files",
        "74dbfa549ada1e47",
        _styles("Manrope-{}.ttf", "Light Regular SemiBold ExtraBold"),
    ),
    _Package(
        "font-roboto",
        "font_roboto/files",
        "141e5b7fa7a039b4",
        _styles("Roboto-{}.ttf", "Light Regular Italic Medium Bold BoldItalic Black"),
    ),
    _Package(
        "font-source-serif-pro",
        "font_source_serif_pro/files",
        "14f36eec6fb2c145",
        _styles("SourceSerifPro-{}.otf", "Light Regular It Semibold Bold BoldIt Black"),
    ),
    _Package(
        "ttf-opensans",
        "ttf_opensans/ttf",
        "45d8510dfd3ebf35",
        _styles("OpenSans-{}.ttf", "Light Regular Italic SemiBold Bold BoldItalic ExtraBold"),
    ),
)


@functools.cache
def faces() -> tuple[Path, ...]:
    """Return the font files, 80 faces in a fixed order.

    Raises:
        UserError: a package of the list is missing, or has other fonts.
    """
    return tuple(path for package in _PACKAGES for path in package.paths())
