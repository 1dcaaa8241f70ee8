"""The stage that chooses which pairs people compare: by the newest reward model, with a share that is always random."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np

from harken.data.encoded import EncodedPrompts
from harken.data.lines import lines_of
from harken.data.seeds import derive
from harken.feedback.held_out import held_out_prompts
from harken.feedback.queue import Compare, compare, random_pairs
from harken.feedback.records import feedback_from_json
from harken.feedback.selection import BY_FEATURES, Candidates, SelectionConfig, select_pairs
from harken.models.load import weights_dtype
from harken.pipeline.artefact import write_text
from harken.pipeline.ask import read_completions
from harken.pipeline.run import Run
from harken.pipeline.teach import Work
from harken.reward.model import RewardModel, load_reward_model
from harken.types import Comparison, Completion, Prompt


@dataclass(frozen=True)
class Known:
    """What the newest reward model says of completions.

    Attributes:
        completions: a row each: this round's, and where a policy goes by features those of earlier rounds.
        scores: in the likelihoods' unit, (N, K).
        features: the trunk's states after them, standardised, (N, D); None where the policy does not read them.
        compared: pairs that were compared in earlier rounds, as ids.
    """

    completions: Sequence[Completion]
    scores: np.ndarray
    features: np.ndarray | None
    compared: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Chosen:
    """A pair that people will be asked about.

    Attributes:
        pair: the question.
        how: `random`, or the policy.
    """

    pair: Compare
    how: str


def choose_pairs(
    completions: Sequence[Completion],
    measuring: Sequence[Completion],
    count: int,
    shares: tuple[float, float],
    selection: SelectionConfig,
    known: Known | None,
    seed: int,
) -> list[Chosen]:
    """Pairs of completions of one prompt; the same for the same arguments.

    Pairs on held-out prompts only measure the reward model, so they are random whatever the policy.

    Args:
        completions: of the prompts that are learnt from.
        measuring: completions of the held-out prompts.
        count: pairs in all; fewer where there are not so many.
        shares: of all pairs, those on held-out prompts; of the rest, those that are random.
        selection: the policy; its batch is after how many pairs it looks again.
        known: what the newest reward model says; None where there is none yet, and all is random.
        seed: of all choices.
    """
    apart = random_pairs(measuring, round(shares[0] * count), derive(seed, "held out"))
    left = count - len(apart)
    drawn = random_pairs(completions, left if known is None else round(shares[1] * left), derive(seed, "random"))
    out = [Chosen(pair, "random") for pair in (*apart, *drawn)]
    if known is None:
        return out
    row = {completion.id: n for n, completion in enumerate(known.completions)}
    asked = [(row[a], row[b]) for a, b in known.compared if a in row and b in row]
    asked += [(row[pair.a], row[pair.b]) for pair in drawn]
    pairs = _pairs(completions, row)
    while len(out) < count:
        batch = replace(selection, batch=min(selection.batch, count - len(out)))
        candidates = Candidates(pairs, known.scores, known.features, _array(asked))
        found = pairs[select_pairs(candidates, batch, derive(seed, "policy", len(out)))].tolist()
        if not found:
            break
        asked += [(a, b) for a, b in found]
        out += [Chosen(compare(known.completions[a], known.completions[b]), selection.policy) for a, b in found]
    return out


def selection_work(round_: int) -> Work:
    """Choose a round's pairs, and say how many were chosen how."""

    def work(run: Run, key: str) -> None:
        config, name = run.recipe.feedback, f"rounds/{round_}/selection"
        made = read_completions(run, f"rounds/{round_}/completions.jsonl")
        only_measure = _held_out(run, made)
        held = [completion for completion in made if completion.prompt_id in only_measure]
        learnt = [completion for completion in made if completion.prompt_id not in only_measure]
        known = _known(run, round_, learnt) if round_ > 1 else None
        shares = (run.recipe.completions.held_out if held else 0.0, config.random_share)
        seed = derive(run.recipe.seed, name)
        chosen = choose_pairs(learnt, held, config.comparisons, shares, config.select, known, seed)
        lines = [json.dumps({**asdict(one.pair), "how": one.how}) + "\n" for one in chosen]
        write_text(run.folder / f"{name}.jsonl", "".join(lines))
        run.progress.say(told(round_, chosen, config.select.policy))

    return work


def scores_work(round_: int) -> Work:
    """Write down what each head says of a round's completions, for those who ask people next (the studio)."""

    def work(run: Run, key: str) -> None:
        made = read_completions(run, f"rounds/{round_}/completions.jsonl")
        held = _held_out(run, made)
        learnt = [completion for completion in made if completion.prompt_id not in held]
        reward = load_reward_model(run.folder / f"rounds/{round_}/reward", dtype=weights_dtype(run.recipe.model.dtype))
        rows = zip(learnt, _scores(run, reward, learnt).tolist(), strict=True)
        lines = [json.dumps({"completion": one.id, "scores": several}) + "\n" for one, several in rows]
        write_text(run.folder / f"rounds/{round_}/scores.jsonl", "".join(lines))

    return work


def read_selection(run: Run, round_: int) -> list[Chosen]:
    """What `selection_work` wrote."""
    out = []
    for line in lines_of(run.folder / f"rounds/{round_}/selection.jsonl"):
        record = json.loads(line)
        how = record.pop("how")
        out.append(Chosen(Compare(**record), how))
    return out


def chosen_pairs(run: Run, round_: int) -> list[Compare]:
    """The pairs alone, for those who ask."""
    return [one.pair for one in read_selection(run, round_)]


def told(round_: int, chosen: Sequence[Chosen], policy: str) -> str:
    """How many pairs of a round were chosen how, in a sentence."""
    if round_ == 1:
        return f"round 1: {len(chosen)} pairs, all at random: there is no reward model yet for {policy!r} to go by"
    drawn = sum(one.how == "random" for one in chosen)
    return f"round {round_}: {len(chosen) - drawn} pairs chosen by {policy!r}, {drawn} at random"


def _known(run: Run, round_: int, completions: Sequence[Completion]) -> Known:
    """What the last round's reward model says of what may be asked, and, where the policy reads it, was answered."""
    dtype, config = weights_dtype(run.recipe.model.dtype), run.recipe.feedback.select
    reward = load_reward_model(run.folder / f"rounds/{round_ - 1}/reward", dtype=dtype)
    if config.policy not in BY_FEATURES:
        return Known(completions, _scores(run, reward, completions), None, ())
    every = [c for r in range(1, round_) for c in read_completions(run, f"rounds/{r}/completions.jsonl")]
    every += completions
    compared, held = [], _held_out(run, every)
    for line in lines_of(run.folder / f"rounds/{round_ - 1}/feedback.jsonl"):
        answer = json.loads(line)
        said = feedback_from_json(answer["kind"], answer["said"])
        # What was said of held-out prompts was not learnt from: the reward model does not know it.
        if isinstance(said, Comparison) and said.prompt_id not in held:
            compared.append((said.a, said.b))
    features = reward.features_of_completions(every, _prompts(run), EncodedPrompts(reward.model.processor, run.blobs))
    found = features.double().numpy()
    spread = found.std(0)
    standard = (found - found.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    return Known(every, _scores(run, reward, every), standard, compared)


def _scores(run: Run, reward: RewardModel, completions: Sequence[Completion]) -> np.ndarray:
    encoded = EncodedPrompts(reward.model.processor, run.blobs)
    # In the unit in which the likelihoods read them, so that p is what the reward model believes.
    return (reward.score_completions(completions, _prompts(run), encoded) * reward.spread.cpu()).double().numpy()


def _held_out(run: Run, completions: Sequence[Completion]) -> set[str]:
    """Ids of the prompts of completions whose feedback only measures the reward model."""
    used = {completion.prompt_id for completion in completions}
    asked = [prompt for prompt in run.world.prompts if prompt.id in used]
    recipe = run.recipe
    return held_out_prompts(asked, recipe.completions.held_out, recipe.seed, recipe.reward.split.by)


def _prompts(run: Run) -> dict[str, Prompt]:
    return {prompt.id: prompt for prompt in run.world.prompts}


def _pairs(completions: Sequence[Completion], row: dict[str, int]) -> np.ndarray:
    """Rows of pairs of different texts that answer one prompt."""
    by_prompt: dict[str, dict[str, Completion]] = {}
    for completion in completions:
        by_prompt.setdefault(completion.prompt_id, {}).setdefault(completion.text, completion)
    every = [pair for texts in by_prompt.values() for pair in combinations(texts.values(), 2)]
    return _array([(row[a.id], row[b.id]) for a, b in every])


def _array(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
