"""One version: of the three packages, of the distribution, and in the form that packaging understands."""

from __future__ import annotations

import importlib.metadata
import re

import ferryllm_proto
from ferryllm_proto._version import __version__


def test_it_is_the_version_of_the_distribution() -> None:
    assert importlib.metadata.version("ferryllm") == ferryllm_proto.__version__ == __version__


def test_it_has_the_form_of_pep_440() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", __version__)
