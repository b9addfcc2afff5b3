"""The reference says what the code does: a change of the public API changes the page too."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from dataclasses import is_dataclass

from tests.docs.reference import PUBLIC, REFERENCE, reference


def test_the_reference_is_that_of_the_code() -> None:
    assert REFERENCE.read_text() == reference(), "`make reference` writes it anew"


def test_every_signature_in_it_is_python() -> None:
    signatures = re.findall(r"^```text\n(.*?)\n```$", REFERENCE.read_text(), re.M | re.S)
    assert len(signatures) > 30
    for signature in signatures:
        ast.parse(f"def {signature}: ...")


def test_every_public_name_says_what_it_is_and_what_its_parameters_mean() -> None:
    for module, names in PUBLIC.items():
        for name in names:
            found = getattr(importlib.import_module(module), name)
            if module.endswith(".fixture"):
                continue
            text = inspect.getdoc(found) or ""
            assert text, name
            takes = set(inspect.signature(found).parameters) - {"args", "kwargs", "self"}
            is_plain = not inspect.isclass(found) or "__init__" not in vars(found)
            if not (is_plain or is_dataclass(found) or issubclass(found, Exception)):
                assert takes <= set(re.findall(r":param (\w+):", text)), name
