"""`harken explain`: why did a model give this answer, a reward model this score, a head this class?"""

from dataclasses import dataclass
from pathlib import Path

import typer

from harken.cli.options import working

app = typer.Typer(add_completion=False)
MODEL = typer.Argument(
    ..., help="The folder of a policy, a reward model or a model of heads alone, or a policy's name on the hub"
)
PROMPTS = typer.Argument(
    ..., metavar="PROMPTS...", help="Files of prompts (JSON Lines); a run's folder stands for its held-out prompts"
)
OUT = typer.Option(Path("explain.html"), "--out", help="The page.")
LIMIT = typer.Option(5, "--limit", min=1, help="Only so many prompts, the first ones.")
CHOSEN = typer.Option(
    None, "--id", metavar="ID", help="Only the prompt of this id; may be said again.", show_default=False
)
ANSWER = typer.Option(None, "--answer", help="Explain this answer and not the model's own.", show_default=False)
REWARD = typer.Option(
    None, "--reward", help="A reward model's folder: explain its score of the answers too.", show_default=False
)
MAX_TOKENS = typer.Option(64, "--max-tokens", min=1, help="The longest answer of the model's own.")
POINTS = typer.Option(256, "--points", min=8, help="Most points of an integral; fewer are quicker and coarser.")
DTYPE = typer.Option("auto", "--dtype", help="auto, float32 or bfloat16: the type of the weights.")


@dataclass(frozen=True)
class Asked:
    """What was said on the command line, an option each."""

    model: str
    prompts: tuple[Path, ...]
    out: Path
    limit: int
    ids: tuple[str, ...]
    answer: str | None
    reward: Path | None
    max_tokens: int
    points: int
    dtype: str


@app.command(
    help="Why this answer? A page that says for each prompt how much its picture, sound and words mattered (exact "
    "Shapley values), where in them (integrated gradients), and where the model looked (attention rollout): of the "
    "answer that the policy itself finds best, or of --answer TEXT; of what heads say, beside language or without it; "
    "and of a reward model's score.\n\n"
    "harken explain runs/demo/aligned runs/demo --reward runs/demo/reward --out page.html\n\n"
    "harken explain runs/demo/aligned prompts.jsonl --limit 5 --out page.html"
)
def explain_(  # noqa: PLR0913, PLR0917  (an option each)
    model: str = MODEL,
    prompts: list[Path] = PROMPTS,
    out: Path = OUT,
    limit: int = LIMIT,
    chosen: list[str] | None = CHOSEN,
    answer: str | None = ANSWER,
    reward: Path | None = REWARD,
    max_tokens: int = MAX_TOKENS,
    points: int = POINTS,
    dtype: str = DTYPE,
) -> None:
    """Hand on what was said."""
    ids = tuple(chosen or ())
    said = Asked(model, tuple(prompts), out, limit, ids, answer, reward, max_tokens, points, dtype)
    working("explaining").explain_prompts(said)
