"""Tests of names as they are shown."""

import pytest

from semisup.files.names import printable


@pytest.mark.parametrize(
    "name", ["cat", "train/cat/a b.png", "Größe", "翘头剪", "قط", "क्ष", "👩‍🔬", "$x$", r"a\b", ""]
)
def test_a_name_that_can_be_shown_stays_as_it_is(name):
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("new\nline", r"new\nline"),
        ("a\tb\r", r"a\tb\r"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("bell\x07 delete\x7f next\x85", r"bell\x07 delete\x7f next\x85"),
        ("a\u2028b", r"a\u2028b"),
        ("gpj\u202e.exe", r"gpj\u202e.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_cannot_be_shown_is_escaped(name, shown):
    assert printable(name) == shown


def test_bytes_that_are_no_utf_8_are_escaped():
    assert printable(b"d\xf6g".decode("utf-8", "surrogateescape")) == r"d\xf6g"


def test_utf_8_that_was_read_as_ascii_is_decoded():
    assert printable("d翘g".encode().decode("ascii", "surrogateescape")) == "d翘g"


def test_what_is_shown_is_shown_the_same_again():
    name = b"\x1b\n\xf6".decode("utf-8", "surrogateescape")
    assert printable(printable(name)) == printable(name)
