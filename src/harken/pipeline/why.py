"""Why the aligned model gave some of its held-out answers, for the report."""

from collections.abc import Sequence

from harken.evaluate.explain.explanation import explain
from harken.evaluate.explain.shown import Explained
from harken.evaluate.explain.target import Likelihood, Score
from harken.models.load import weights_dtype
from harken.pipeline.ask import read_completions
from harken.pipeline.roles import load_as
from harken.pipeline.run import Run
from harken.reward.model import load_reward_model
from harken.types import Prompt

NOTE = (
    "Some of the answers above, taken apart: how much the picture, the sound and the words of the prompt mattered "
    "(Shapley values), where in them (integrated gradients), and where the model looked (attention rollout). The same "
    "for any answer: harken explain."
)


def explained_answers(run: Run, here: str, prompts: Sequence[Prompt]) -> tuple[Explained, ...]:
    """The aligned model's answers to some held-out prompts, explained, and the reward model's scores of them.

    Args:
        run: the run.
        here: the round's folder in it.
        prompts: which; with none, no model is loaded.
    """
    if not prompts:
        return ()
    dtype = weights_dtype(run.recipe.model.dtype)
    policy = load_as(run.folder / here / "aligned", run.recipe.model)
    targets = (Likelihood(policy), Score(load_reward_model(run.folder / here / "reward", dtype=dtype)))
    answers = {c.prompt_id: c for c in read_completions(run, f"{here}/answers.jsonl") if c.policy == "aligned"}
    out = []
    for prompt in prompts:
        out.append(explain(targets, prompt, answers[prompt.id], run.blobs))
        run.end_if_asked("report")
    return tuple(out)
