"""Tests that run the examples in the docstrings of what the packages export."""

import doctest
import importlib.resources
import inspect
import typing

import keras
import numpy as np
import pytest

import clustering
import domain_adaptation
import multimodal
import segmentation
import semisup

# Their examples would need a run.
WITHOUT_EXAMPLE = {"load_run", "load_model"}
PACKAGES = (semisup, domain_adaptation, clustering, multimodal, segmentation)


def exports():
    for package in PACKAGES:
        for name in sorted(set(package.__all__) - WITHOUT_EXAMPLE):
            yield pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")


@pytest.mark.parametrize("exported", exports())
def test_examples_of_exports_give_what_they_show(exported):
    names = {"np": np, "keras": keras}
    names |= {package.__name__: package for package in PACKAGES}
    module = importlib.import_module(exported.__module__)
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(exported, exported.__name__, module, extraglobs=names)
    assert test.examples, "there is no example"
    runner = doctest.DocTestRunner(verbose=False)
    said = []
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("exported", exports())
def test_exports_say_the_types_of_arguments_and_results(exported):
    function = exported.__init__ if inspect.isclass(exported) else exported
    signature = inspect.signature(function)
    assert typing.get_type_hints(function)
    parameters = list(signature.parameters.values())[inspect.isclass(exported) :]
    missing = [p.name for p in parameters if p.annotation is inspect.Parameter.empty]
    assert not missing
    if not inspect.isclass(exported):
        assert signature.return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_say_that_they_have_types(package):
    assert importlib.resources.files(package).joinpath("py.typed").is_file()
