"""What all benchmarks of the family are told on the command line, and how they leave their figures."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def parser_of(explained: str | None, train: str, test: str) -> argparse.ArgumentParser:
    """The options that all of them have.

    Args:
        explained: for `--help`.
        train: what the training folder holds.
        test: what the test folder holds.
    """
    parser = argparse.ArgumentParser(description=explained, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help=train)
    parser.add_argument("--test", type=Path, help=test)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def resumable(parser: argparse.ArgumentParser, epochs: float) -> None:
    """The options of a long training on pictures."""
    parser.add_argument("--work", type=Path, help="folder for checkpoints; a second start goes on from them")
    parser.add_argument("--epochs", type=float, default=epochs)
    parser.add_argument("--seed", type=int, default=0)


def begun(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was said; torch has its threads."""
    said = parser.parse_args()
    torch.set_num_threads(said.threads)
    return said


def write_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Leave the figures where they were asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
