"""Tests of CSV files: what a spreadsheet and Python read from them."""

import csv
import os

import pytest

from semisup.run.directory import RunDirectory


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "＝1+1"])
def test_a_name_that_is_a_formula_becomes_text(tmp_path, name):
    RunDirectory(tmp_path).write_table("a.csv", ["file", name], [[name, "cat"]])
    assert read(tmp_path / "a.csv") == [["file", f"'{name}"], [f"'{name}", "cat"]]


def test_numbers_and_harmless_names_stay_as_they_are(tmp_path):
    row = ["-1.5", -2, "+3e-4", "", "a=b", 'quote"comma,', "猫", "-inf"]
    RunDirectory(tmp_path).write_table("a.csv", ["x"] * len(row), [row])
    assert read(tmp_path / "a.csv")[1] == list(map(str, row))


def test_a_row_is_a_line_of_valid_unicode_whatever_the_names(tmp_path):
    names = [os.fsdecode(b"caf\xe9.jpg"), "new\nline", "\x1b[31mred", "\r"]
    RunDirectory(tmp_path).write_table("a.csv", ["file"], [[name] for name in names])
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["file", r"caf\xe9.jpg", r"new\nline", r"\x1b[31mred", r"\r"]
