"""The table at the end of a run."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


def print_results(console: Console, folder: Path) -> None:
    """Show what `evaluation.json` says, and where the report is."""
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    table = Table(title=f"{folder}: {found['prompts']} held-out prompts", title_justify="left", show_header=True)
    for name in ("", "supervised", "aligned", ""):
        table.add_column(name)
    if found.get("win_rate") is not None:
        low, high = found["win_rate_interval"]
        note = f"95 % interval {percent(low)} to {percent(high)}, ties count half"
        table.add_row("win rate (gold)", "", percent(found["win_rate"]), note)
    for label, key in (("exact", "exactness"), ("ended properly", "ended"), ("finished", "finished")):
        if found.get(f"{key}_before") is not None:
            table.add_row(label, percent(found[f"{key}_before"]), percent(found[f"{key}_after"]), "")
    for label, key in (("BLEU", "bleu"), ("ROUGE-L", "rouge_l"), ("reward", "reward")):
        if found.get(f"{key}_before") is not None:
            table.add_row(label, f"{found[f'{key}_before']:.2f}", f"{found[f'{key}_after']:.2f}", "")
    if found.get("reward_accuracy") is not None:
        noisy = (
            f"{percent(found['reward_accuracy_annotators'])} against the annotators' own answers, whose noise allows "
        )
        noisy += percent(found["annotator_ceiling"])
        table.add_row("reward accuracy", "", percent(found["reward_accuracy"]), noisy)
    table.add_row("KL to the supervised", "", f"{found['kl']:.2f} nats", "a completion, on held-out prompts")
    console.print(table)
    for notice in found.get("notices", []):
        console.print(notice, style="yellow", highlight=False)
    console.print(f"report: {(folder / 'report.html').resolve()}", highlight=False, soft_wrap=True)
