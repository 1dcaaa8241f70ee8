"""The family's tokenizer, its control tokens, and how it writes a conversation."""

from collections.abc import Collection, Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, END, USER, ASSISTANT, SYSTEM = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
PLACEHOLDERS = {"image": "<image>", "audio": "<audio>", "numbers": "<numbers>", "text": "<text>"}
"""The token in whose places a medium's features go, by modality."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|{{ message.role }}|>"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{ part.text }}{%- else -%}<{{ part.type }}>{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if message.role == 'assistant' -%}<|end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)

WORDS_FIRST = (
    "{%- set said = namespace(words=false) -%}"
    "{%- for message in messages -%}"
    "{%- if message.content is string -%}"
    "{%- if message.content | trim -%}{%- set said.words = true -%}{%- endif -%}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' and part.text | trim -%}{%- set said.words = true -%}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endfor -%}"
    "{%- if said.words -%}<text>{%- endif -%}"
)
"""The beginning of the template of a model with a text encoder: the placeholder of the conversation's words, if any."""


def template_of(modalities: Iterable[str]) -> str:
    """How a model with encoders of these modalities writes a conversation."""
    return WORDS_FIRST + CHAT_TEMPLATE if "text" in modalities else CHAT_TEMPLATE


def make_tokenizer(corpus: Iterable[str], vocabulary: int, modalities: Collection[str] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that spells numbers digit by digit (so that it never refuses a text).

    Args:
        corpus: texts for its merges.
        vocabulary: at most so many tokens.
        modalities: what it has placeholders for, besides pictures and sounds.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s?\d"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [USER, ASSISTANT, SYSTEM, *(PLACEHOLDERS[m] for m in ("image", "audio"))]
    control += [PLACEHOLDERS[m] for m in modalities if PLACEHOLDERS[m] not in control]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, *control],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        additional_special_tokens=control,
        chat_template=template_of(modalities),
    )


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """The id of a token that is there."""
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found
