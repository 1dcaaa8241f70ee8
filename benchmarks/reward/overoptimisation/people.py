"""Real people's judgements as gold: choosing among recordings that experts graded, or captions that readers graded.

No model writes or speaks here: the reference chooses evenly among what is there, best of n draws from it, and
reinforcement is stood for by the policy that it would end at under a KL penalty, which is known in closed form.
"""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.reward.overoptimisation.curve import MEMBERS, Curve, selecting
from benchmarks.reward.recordings import read_recordings
from harken.data.blobs import Blobs
from harken.data.seeds import derive
from harken.feedback.derived import votes_from_ratings
from harken.reward.described import DescribedConfig, Describer, train_described_reward
from harken.reward.linear import LinearConfig
from harken.types import Answer, Choice, Comparison, Completion, Message, Prompt, Text

OPTIMISERS = ("best_of_n", "regularised")
Told = Callable[[str], None]


@dataclass
class Speech:
    """Which recording is read most fluently? Votes of experts on some speakers, experts' mean grade of the others.

    Attributes:
        folder: with `*.jsonl` and `*.zip`, as `benchmarks.reward.recordings` reads them.
        scratch: where media go.
        comparisons: what proxies learn from.
        criterion: what experts graded.
    """

    folder: Path
    scratch: Path
    comparisons: tuple[int, ...] = (30, 100, 300)
    criterion: str = "fluency"

    def __post_init__(self) -> None:
        blobs = Blobs(self.scratch)
        self.data, self.describer = read_recordings(self.folder, blobs), Describer(blobs, words=False)
        self.names, self.speakers = list(self.data.prompts), np.array(self.data.speakers)
        self.mean = self.data.grades[self.criterion].mean(1)

    def curves(self, seed: int, told: Told) -> list[Curve]:
        """Half of the speakers vote, all recordings of the other half are chosen among."""
        order = np.random.default_rng(derive(seed, "speakers")).permutation(np.unique(self.speakers))
        learnt = np.isin(self.speakers, order[: len(order) // 2])
        ours = {self.names[i] for i in np.flatnonzero(learnt)}
        grades = [
            a for a in self.data.answers if a.feedback.prompt_id in ours and a.feedback.criterion == self.criterion
        ]
        votes = votes_from_ratings(grades, max(self.comparisons), seed, self.criterion)
        random.Random(derive(seed, "order of votes")).shuffle(votes)
        chosen_among = [self.data.completions[self.names[i]] for i in np.flatnonzero(~learnt)]
        out = []
        for count in self.comparisons:
            scores = {}
            for members in (1, MEMBERS):
                config = DescribedConfig(members, criterion=self.criterion, group_by="speaker")
                reward = train_described_reward(
                    self.data.prompts, self.data.completions, votes[:count], self.describer, config, seed
                )
                scores[members] = [reward.scores(chosen_among, self.data.prompts, self.describer)]
            out += selecting(count, scores, [self.mean[~learnt]], OPTIMISERS)
        told("speech")
        return out


@dataclass
class Captions:
    """Which caption is funniest? Votes that readers' grades of some contests imply, readers' mean grade in the others.

    Attributes:
        folder: with `captions_*.jsonl.gz` of lines {contest, caption, funny, somewhat_funny, unfunny}.
        scratch: where media would go.
        comparisons: what proxies learn from.
    """

    folder: Path
    scratch: Path
    comparisons: tuple[int, ...] = (100, 1000, 4000)

    def __post_init__(self) -> None:
        self.describer = Describer(Blobs(self.scratch))
        self.prompts: dict[str, Prompt] = {}
        self.completions: dict[str, Completion] = {}
        self.counts: dict[str, np.ndarray] = {}
        self.captions: dict[str, list[str]] = {}
        for path in sorted(self.folder.glob("captions_*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines):
                    self._take(json.loads(line), f"{path.name}:{number}")
        if not self.prompts:
            raise FileNotFoundError(f"{self.folder} has no captions_*.jsonl.gz")

    def _take(self, record: dict, name: str) -> None:
        contest = str(record["contest"])
        self.prompts.setdefault(contest, Prompt(contest, (Message("user", (Text("Write a funny caption."),)),)))
        self.completions[name] = Completion(name, contest, record["caption"], "reader")
        self.counts[name] = np.array([record["unfunny"], record["somewhat_funny"], record["funny"]])
        self.captions.setdefault(contest, []).append(name)

    def curves(self, seed: int, told: Told) -> list[Curve]:
        """Half of the contests vote, the captions of each of the others are chosen among."""
        order = np.random.default_rng(derive(seed, "contests")).permutation(sorted(self.prompts)).tolist()
        learnt, judged = order[: len(order) // 2], order[len(order) // 2 :]
        votes = [self.vote(learnt, seed, n) for n in range(max(self.comparisons))]
        # As many captions of each contest, so that the best of n means the same in all.
        least, chance = min(map(len, self.captions.values())), random.Random(derive(seed, "captions"))
        shown = [chance.sample(self.captions[contest], least) for contest in judged]
        gold = [np.array([self.counts[c] @ (0, 1, 2) / self.counts[c].sum() for c in each]) for each in shown]
        out = []
        for count in self.comparisons:
            scores = {}
            for members in (1, MEMBERS):
                config = DescribedConfig(members, criterion="funny", linear=LinearConfig())
                reward = train_described_reward(
                    self.prompts, self.completions, votes[:count], self.describer, config, seed
                )
                chosen_among = [[self.completions[c] for c in each] for each in shown]
                scores[members] = [reward.scores(each, self.prompts, self.describer) for each in chosen_among]
            out += selecting(count, scores, gold, OPTIMISERS)
        told("captions")
        return out

    def vote(self, contests: Sequence[str], seed: int, number: int) -> Answer:
        """Two captions of one contest, each with the grade of one of its readers; the higher grade wins."""
        chance = random.Random(derive(seed, "vote", number))
        contest = chance.choice(contests)
        a, b = chance.sample(self.captions[contest], 2)
        first, second = (chance.choices(range(3), self.counts[c].tolist())[0] for c in (a, b))
        choice: Choice = "tie" if first == second else "a" if first > second else "b"
        return Answer(f"vote {number}", "readers", "human", Comparison(contest, a, b, choice, "funny"))
