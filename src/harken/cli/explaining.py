"""What `harken explain` does once it is called: load, answer, take apart, write."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from harken.cli.explain import Asked
from harken.cli.options import console
from harken.cli.session import Stop, doors, said_dtype
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.prompts import load_prompts
from harken.evaluate.explain.explanation import explain
from harken.evaluate.explain.heads import SaidByHead, said_by_heads
from harken.evaluate.explain.page import Page, write_page
from harken.evaluate.explain.reading import blank_of_reader, mean_colour, neutral_token
from harken.evaluate.explain.shown import Explained
from harken.evaluate.explain.target import Budget, Likelihood, Score, Target
from harken.models.generate import Decoding
from harken.models.load import load_model, load_predictor, speaks
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.pipeline.ask import read_held_out
from harken.reward.model import RewardModel, is_reward_folder, load_reward_model
from harken.train.answering import Sampling, sample_completions
from harken.types import Completion, Prompt


def explain_prompts(said: Asked) -> None:
    """Write the page, and say a line a view.

    Args:
        said: on the command line.
    """
    with doors(Stop()), TemporaryDirectory() as scratch:
        blobs = Blobs(Path(scratch), flush=False)
        asked = _choose(_read(said.prompts, blobs), said.ids, said.limit)
        policy, judge = _load(said.model, said.reward, said_dtype(said.dtype))
        reader = judge.model if policy is None and judge is not None else policy
        assert reader is not None, "one of the two was loaded"
        first: list[Target] = [Likelihood(policy)] if isinstance(policy, Model) else []
        first += [Score(judge)] if judge is not None else []
        heads = [said_by_heads(policy, prompt, blobs) if policy is not None else [] for prompt in asked]
        answers = _answers(policy, asked, blobs, said, heads)
        budget, explained = Budget.of(reader, said.points), []
        for prompt, completion, told in zip(asked, answers, heads, strict=True):
            targets = [*first, *told]
            if not targets:
                raise ValueError(f"prompt {prompt.id!r}: no head of {said.model} says anything of it; leave it out")
            explained.append(explain(targets, prompt, completion, blobs, budget))
            for view in explained[-1].views:
                shares = ", ".join(f"{share.name} {share.signed}" for share in view.shares)
                what = repr(completion.text) if view.scale in ("policy", "reward") else view.title
                console.print(f"{prompt.id}: {what} ({shares})", highlight=False, markup=False, soft_wrap=True)
        write_page(said.out, _page(reader, said.model, said.reward, explained))
    console.print(f"page: {said.out.resolve()}", highlight=False, soft_wrap=True)


def _read(named: Sequence[Path], blobs: Blobs) -> list[Prompt]:
    """The prompts of files and of runs' folders, each id once."""
    found: dict[str, Prompt] = {}
    for path in named:
        made = read_held_out(path, blobs) if path.is_dir() else load_prompts(path, blobs)
        for prompt in made:
            if found.setdefault(prompt.id, prompt) != prompt:
                raise ValueError(f"{path}: the id {prompt.id!r} is that of another prompt too; rename one of them")
    return list(found.values())


def _choose(prompts: Sequence[Prompt], ids: Sequence[str], limit: int) -> list[Prompt]:
    """The prompts of some ids, or the first ones."""
    known = {prompt.id: prompt for prompt in prompts}
    for name in ids:
        if name not in known:
            shown = ", ".join(list(known)[:5])
            raise ValueError(f"--id {name}: there is no such prompt; the first are {shown}")
    return [known[name] for name in ids] if ids else list(prompts)[:limit]


def _load(model: str, reward: Path | None, dtype: torch.dtype) -> tuple[Model | Predictor | None, RewardModel | None]:
    """Who answers and who scores."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if is_reward_folder(Path(model)):
        if reward is not None:
            raise ValueError(
                f"{model} is a reward model already; give --reward, or a policy as MODEL, but not two of them"
            )
        return None, load_reward_model(Path(model), dtype=dtype).to(device)
    if not speaks(model):
        if reward is not None:
            raise ValueError(f"{model} has no language head, so there are no answers to score; leave --reward out")
        return load_predictor(model, dtype).to(device), None
    judge = None if reward is None else load_reward_model(reward, dtype=dtype).to(device)
    return load_model(model, dtype).to(device), judge


def _answers(
    policy: Model | Predictor | None,
    prompts: Sequence[Prompt],
    blobs: Blobs,
    asked: Asked,
    heads: Sequence[Sequence[SaidByHead]],
) -> list[Completion]:
    """The answer to each prompt: what was given, the policy's greedy one, what heads say, or the prompt's reference.

    Raises:
        ValueError: if an answer was given for a model that says none, or nobody gives one.
    """
    text = asked.answer
    if isinstance(policy, Predictor):
        if text is not None:
            raise ValueError("a model without a language head gives no answers in words; leave --answer out")
        said = ["; ".join(f"{one.name}: {one.words}" for one in each) for each in heads]
        return [Completion("heads", p.id, words, "the heads") for p, words in zip(prompts, said, strict=True)]
    if text is not None:
        return [Completion("given", prompt.id, text, "given") for prompt in prompts]
    if policy is not None:
        how = Sampling("the policy's own", 1, Decoding(asked.max_tokens, temperature=0.0), 0, batch=8)
        return sample_completions(policy, prompts, EncodedPrompts(policy.processor, blobs), how)
    bare = [prompt.id for prompt in prompts if not prompt.references]
    if bare:
        raise ValueError(
            f"a reward model writes no answers, and prompt {bare[0]!r} has no references: say --answer TEXT, or name a "
            "policy's folder as MODEL and this one as --reward"
        )
    return [Completion("reference", prompt.id, prompt.references[0], "the prompt's reference") for prompt in prompts]


def _page(first: Model | Predictor, model: str, reward: Path | None, explained: Sequence[Explained]) -> Page:
    """The page, with what was taken for blank."""
    processor = first.processor
    blanks = "The token that says nothing is {}."
    if isinstance(first, Model):
        blanks = blanks.format(processor.tokenizer.convert_ids_to_tokens(neutral_token(processor)))
    elif "text" in processor.placeholders:
        blanks = blanks.format(processor.hf.reader.convert_ids_to_tokens(blank_of_reader(processor)))
    else:
        blanks = "It reads no words."
    if "image" in processor.placeholders:
        blanks = f"The flat colour is rgb{mean_colour(first)}. {blanks}"
    also = f", and its score by {reward}" if reward is not None else ""
    count = f"{len(explained)} prompt" + ("s" if len(explained) > 1 else "")
    what = "how much each part of a prompt mattered, and where in it"
    if isinstance(first, Model):
        what = "how much each part of a prompt mattered, where in it, and where the model looked"
    subtitle = f"{model}, on {count}{also}: {what}."
    scored = explained[0].views[0].scale == "reward" if explained else False
    return Page("Why these scores?" if scored else "Why these answers?", subtitle, explained, blanks)
