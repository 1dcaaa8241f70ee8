"""Adversarial prompts: what is asked stays the same, but its words are changed, and its media are moved.

Both are against the policy as it is now: media are moved so that its own answer to the prompt as it is becomes less
likely (`train.adversarial`; the answer is the likeliest, token by token), and of several changes of the words that is
asked under which this answer is least likely. So no prompt needs a reference.

Only the policy is asked so. The reward model, the rules and the reference read the prompt as it is: the gold answer is
the same, and what the policy should say is what the reference says of the clear prompt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harken.algorithms.sft import SFT
from harken.data.augment.prompt import PromptChange
from harken.data.batch import Batch, EncodedPrompt, collate, collate_prompts, media_key
from harken.data.encoded import EncodedPrompts
from harken.data.processor import SAMPLES
from harken.data.seeds import derive
from harken.models.generate import Decoding, generate
from harken.models.hearing import Hearing
from harken.models.model import Model
from harken.train.adversarial import Attack, a_share_of, attacked, refuse_unseen
from harken.types import Prompt

WORDS, MEDIA = "words", "media."
"""Names of what an adversary did: which change of words each prompt got, and what the policy reads of each medium."""


@dataclass
class Adversary:
    """Asks a policy what others asked, in a harder way.

    Attributes:
        policy: who is asked.
        encoded: prompts as it reads them.
        perturb: what is done to words; None for nothing.
        attack: how media are moved; None for not at all.
        longest: tokens of the answer that is made less likely.
        seed: of all lots.

    Raises:
        ValueError: if samples are to be moved and the model makes no log-mel frames of them.
    """

    policy: Model
    encoded: EncodedPrompts
    perturb: PromptChange | None
    attack: Attack | None
    longest: int
    seed: int

    def __post_init__(self) -> None:
        self._hearing: Hearing | None = None
        self._reading = self.encoded
        if self.attack is None:
            return
        self.policy.features = None  # what was computed before is of media as they are
        if self.attack.moves_samples:
            self._hearing = Hearing(self.policy, self.policy.processor)
            self._reading = EncodedPrompts(self.encoded.processor, self.encoded.blobs, samples=True)

    def refuse_unseen(self, prompts: Iterable[Prompt]) -> None:
        """Refuse to move media that no prompt has.

        Raises:
            ValueError: naming what no prompt has.
        """
        if self.attack is not None:
            refuse_unseen(self.attack, (self._reading([prompt])[0] for prompt in prompts))

    def against(self, prompts: Sequence[Prompt], *names: str | int) -> dict[str, Tensor]:
        """What is done to P prompts.

        Args:
            prompts: as they are.
            names: what for; lots depend on the seed and these alone.

        Returns:
            `words` (P,): the number of each prompt's change of words, -1 for none; and for each media tensor that was
            moved `media.NAME`: all prompts' rows of it as the policy reads them, one below the other.
        """
        done = {WORDS: torch.full((len(prompts),), -1)}
        searches = self.perturb is not None and self.perturb.tries > 1
        ids = self._own_answers(prompts) if searches or self.attack is not None else []
        if self.perturb is not None:
            generator = torch.Generator().manual_seed(derive(self.seed, *names, "which words"))
            changed = torch.rand(len(prompts), generator=generator) < self.perturb.share
            hardest = torch.zeros(len(prompts), dtype=torch.long)
            if searches:
                hardest = self._hardest(prompts, ids, names, self.perturb.tries)
            done[WORDS] = torch.where(changed, hardest, -1)
        if self.attack is not None:
            moved = self._moved(self.asked(prompts, done, *names), ids, self.attack, names)
            done |= {MEDIA + name: tensor for name, tensor in moved.items()}
        return done

    def asked(self, prompts: Sequence[Prompt], done: Mapping[str, Tensor], *names: str | int) -> list[Prompt]:
        """The prompts in the words that `against` chose for them; the same prompts, `done` and names give the same."""
        change = self.perturb
        chosen = zip(prompts, done[WORDS].tolist(), strict=True)
        return [p if change is None or n < 0 else change(p, self._seed_of(p, n, names)) for p, n in chosen]

    def encodings(
        self, prompts: Sequence[Prompt], done: Mapping[str, Tensor], *names: str | int
    ) -> list[EncodedPrompt]:
        """The prompts as the policy reads them after what `against` did, media included."""
        encoded = self.encoded(self.asked(prompts, done, *names))
        moved = {name.removeprefix(MEDIA): rows for name, rows in done.items() if name.startswith(MEDIA)}
        if not moved:
            return encoded
        places = dict.fromkeys(moved, 0)
        out = []
        for one in encoded:
            media = dict(one.media)
            for name, rows in moved.items():
                if name in media:
                    shape = media[name].shape
                    mine = rows[places[name] : places[name] + shape[0]]
                    places[name] += shape[0]
                    # Without what longer media of other prompts had filled them up with.
                    media[name] = mine[(slice(None), *(slice(0, size) for size in shape[1:]))].clone()
            out.append(replace(one, media=media, media_key=media_key(media)))
        return out

    def _seed_of(self, prompt: Prompt, number: int, names: Sequence[str | int]) -> int:
        return derive(self.seed, *names, "words", prompt.id, number)

    def _own_answers(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """The policy's likeliest answer, token by token, to each prompt as it is."""
        asked = collate_prompts(self.encoded(prompts), self.encoded.processor.pad_id).to(self.policy.trunk.device)
        rows = torch.arange(len(prompts), device=self.policy.trunk.device)
        generator = torch.Generator().manual_seed(0)  # nothing is drawn at temperature 0
        return generate(self.policy, asked, rows, Decoding(self.longest, temperature=0.0), generator).ids

    @torch.no_grad()
    def _hardest(self, prompts: Sequence[Prompt], ids: list[Tensor], names: Sequence[str | int], tries: int) -> Tensor:
        """Of each prompt's changes the number of that under which its answer is least likely; the first of equals."""
        found = []
        for number in range(tries):
            chosen = {WORDS: torch.full((len(prompts),), number)}
            batch = self._batch(self.encoded(self.asked(prompts, chosen, *names)), ids)
            logprobs = self.policy(batch, SFT.needs).logprobs
            assert logprobs is not None, "the model gives what is needed"
            found.append(logprobs.double().sum(1).cpu())
        return torch.stack(found).argmin(0)

    def _moved(
        self, prompts: Sequence[Prompt], ids: list[Tensor], attack: Attack, names: Sequence[str | int]
    ) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(derive(self.seed, *names, "media"))
        before = self._batch(self._reading(prompts), ids)
        module = self.policy if self._hearing is None else self._hearing
        after = a_share_of(before, attacked(module, SFT(), before, attack, generator), attack, generator)
        read = after.prompts
        if self._hearing is not None:
            with torch.no_grad():
                read = self._hearing.heard(read)
        moved = {"input_features" if name in SAMPLES else name for name in attack.radius}
        return {name: read.media[name].detach().cpu() for name in sorted(moved) if name in read.media}

    def _batch(self, encoded: Sequence[EncodedPrompt], ids: list[Tensor]) -> Batch:
        batch = collate(encoded, ids, range(len(ids)), self.encoded.processor.pad_id)
        return batch.to(self.policy.trunk.device)
