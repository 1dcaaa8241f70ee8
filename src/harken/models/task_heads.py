"""What the heads beside a language head say of prompts: they read the state that the answer begins from."""

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from harken.data.batch import Prompts
from harken.models.fusion.fuse.fuse import Streams
from harken.models.fusion.heads.head import Head, View
from harken.models.fusion.model import FusionForConditionalGeneration, read_heads
from harken.models.fusion.stream import Stream


def _never_again(streams: Streams) -> Tensor:
    raise AssertionError("build refuses heads that join streams again beside a language head")


def task_outputs(
    trunk: PreTrainedModel, prompts: Prompts, rows: Int[Tensor, " N"], states: Float[Tensor, "N D"]
) -> dict[str, Tensor]:
    """What all heads but the language head say, as `head.output`.

    Args:
        trunk: a model of the family.
        prompts: P prompts.
        rows: the prompt of each completion.
        states: the last state of each completion's prompt, which has seen all of it.

    Raises:
        ValueError: if the model is none of harken's own family.
    """
    if not isinstance(trunk, FusionForConditionalGeneration):
        raise ValueError(f"{type(trunk).__name__} has no heads beside language; they belong to harken's own family")
    streams: dict[str, Stream] = {}
    if any(isinstance(head, Head) and head.reads_streams for head in trunk.heads.values()):
        for name, stream in trunk.model.streams(prompts.ids, prompts.media).items():
            streams[name] = Stream(stream.states.index_select(0, rows), stream.real.index_select(0, rows))
    return read_heads(trunk.heads, View(states, streams, _never_again)) | trunk.language_variance()
