"""Every way of joining with every encoder, as one table: `python tests/journeys/combinations.py` (two minutes).

A cell is what the doctor found well, the loss of supervised training before and after four steps, and by how much at
most log-probabilities of training differed from those of sampling in the stages that followed.
"""

import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from roads import STAGES, Walked, walk
from test_parts_learn import FUSES, KINDS, ROUNDS, asked, made

from harken.data.blobs import Blobs
from harken.models.doctor import Finding, examine
from harken.models.load import load_model


def cell(found: list[Finding], walked: Walked) -> str:
    """One combination, shortly; in bold what is not well."""
    bad = [finding.check for finding in found if finding.verdict not in ("ok", "absent")]
    missing = [stage for stage in STAGES if stage not in walked.changed or not all(walked.finite.values())]
    losses = f"{walked.losses[0]:.2f} to {walked.losses[-1]:.2f}"
    well = f"{len(found) - len(bad)} ok" if not bad + missing else f"**{', '.join(bad + missing)}**"
    return f"{well}; {losses}; {max(walked.differences.values()):.0e}"


def main() -> None:
    """Go through all of them and print the table."""
    torch.set_num_threads(1)
    heads = [" + ".join(kinds[n % len(kinds)] for kinds in KINDS.values()) for n in range(ROUNDS)]
    print(f"| fuse | {' | '.join(heads)} |")
    print("|---" * (ROUNDS + 1) + "|")
    failed = []
    for fuse in FUSES:
        row = []
        for round_ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                blobs = Blobs(folder / "blobs")
                made(fuse, round_, folder)
                found = list(examine(load_model(folder / "model")))
                row.append(cell(found, walk(folder / "model", asked(blobs), blobs, folder)))
                failed += [f"{fuse} {round_}"] if "**" in row[-1] else []
                print(f"{fuse} {round_}: {row[-1]}", file=sys.stderr, flush=True)
        print(f"| {fuse} | {' | '.join(row)} |", flush=True)
    sys.exit(f"not well: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
