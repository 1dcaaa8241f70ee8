"""The doctor's findings on every tiny family, as one table: `python tests/models/families/table.py`."""

import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny import tiny_model

from families.families import FAMILIES
from harken.models.doctor import Finding, examine
from harken.models.load import load_model

SHORT = {
    "log p ": "",
    "gradients ": "",
    "the same bits": "bits",
    " tokens of the answer are learnt": " tokens",
    " in one prompt; one less is refused": "",
    "moves ": "",
    "by ": "",
    " or more": "",
    "cannot be computed (IndexError)": "plain layout",
    "whole last layer": "last layer whole",
}


def cell(finding: Finding | None) -> str:
    """What was measured, shortly; the verdict where it is not `ok`."""
    if finding is None or finding.verdict == "absent":
        return ""
    figure = finding.figure
    for long, short in SHORT.items():
        figure = figure.replace(long, short)
    return figure if finding.verdict in ("ok", "plain") else f"**{finding.verdict}** {figure}"


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, tuple[str, list[Finding]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (save, _, _) in {**FAMILIES, "harken": (lambda path: tiny_model().save(path), None, None)}.items():
            save(Path(folder) / name)
            model = load_model(Path(folder) / name)
            found[name] = (type(model.trunk).__name__, examine(model))
            print(f"{name}: examined", file=sys.stderr, flush=True)
    checks = list(dict.fromkeys(f.check for _, findings in found.values() for f in findings if f.verdict != "absent"))
    print("| family | class | " + " | ".join(checks) + " |")
    print("|---" * (len(checks) + 2) + "|")
    for name, (kind, findings) in found.items():
        by_check = {finding.check: finding for finding in findings}
        print(f"| {name} | {kind} | " + " | ".join(cell(by_check.get(check)) for check in checks) + " |")
    failed = [name for name, (_, findings) in found.items() if any(f.verdict == "failed" for f in findings)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
