"""What a run knows of its task: prompts, who annotates, and, where there is one, the hidden preference."""

from collections.abc import Callable
from dataclasses import dataclass

from harken.feedback.annotators.annotator import Annotator
from harken.types import Completion, Prompt


@dataclass(frozen=True)
class World:
    """Prompts with their media in the run's blobs, and the annotators.

    Attributes:
        demonstrations: prompts with a good answer each, for supervised training.
        prompts: what people are asked about and the policy is aligned on.
        test: held-out prompts.
        annotators: who answers, where the recipe says `simulated`.
        gold: the preference by which the evaluation decides, where there is one (a simulated world's hidden rule).
        corpus: texts for the tokenizer of a new model.
        notices: what a reader of the results must know (that annotators are simulated, that sound was left out).
    """

    demonstrations: tuple[tuple[Prompt, str], ...]
    prompts: tuple[Prompt, ...]
    test: tuple[Prompt, ...]
    annotators: tuple[Annotator, ...] = ()
    gold: Callable[[Prompt, Completion], float] | None = None
    corpus: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
