"""Lets the tests of formats import the strategies of stores that lie here, and the tiny models of tests/models."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "models"))
