"""Data sets that TensorFlow Datasets (TFDS) lacks: a builder for each, registered on import.

Some read the files that a set's authors published (`originals` finds and checks them), others make
a set anew from what can still be had; those are named `..._generated`. Importing this package
imports TFDS, but not TensorFlow.
"""

from semisup.data.builders.frgc import Frgc
from semisup.data.builders.gtsrb import Gtsrb, GtsrbCropped
from semisup.data.builders.mnist_m import MnistM
from semisup.data.builders.mnist_m_generated import MnistMGenerated
from semisup.data.builders.omniglot_characters import OmniglotCharacters
from semisup.data.builders.synthetic_digits import SyntheticDigits
from semisup.data.builders.synthetic_digits_generated import SyntheticDigitsGenerated
from semisup.data.builders.synthetic_signs import SyntheticSigns
from semisup.data.builders.synthetic_signs_generated import SyntheticSignsGenerated
from semisup.data.builders.usps import Usps
