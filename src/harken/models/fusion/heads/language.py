"""The language head: a decoder-only language model, whose width is the model's own."""

from dataclasses import dataclass

from transformers import Qwen3Config

from harken.data.bounds import at_least


@dataclass(frozen=True)
class Language:
    """The decoder-only language model (transformers' Qwen3 of this size).

    Attributes:
        hidden: width.
        layers: transformer layers.
        heads: attention heads.
        intermediate: width of the feed-forward part.
        vocabulary: at most so many tokens.
        max_tokens: longest sequence.
        weight: how much its loss counts beside other heads'; `learnt` weighs it by an uncertainty (1705.07115).
    """

    hidden: int = 96
    layers: int = 3
    heads: int = 4
    intermediate: int = 256
    vocabulary: int = 600
    max_tokens: int = 1024
    weight: float | str = 1.0

    def __post_init__(self) -> None:
        at_least(self, "text", hidden=1, layers=1, heads=1, intermediate=1, vocabulary=1, max_tokens=1)
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ValueError(f"text.hidden must be an even multiple of text.heads, not {self.hidden} and {self.heads}")

    def build(self, vocabulary: int, end_id: int, pad_id: int) -> Qwen3Config:
        """What transformers builds the language model from.

        Args:
            vocabulary: how many tokens the tokenizer came to have.
            end_id: the token that ends an answer.
            pad_id: the token that fills.
        """
        return Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            head_dim=self.hidden // self.heads,
            max_position_embeddings=self.max_tokens,
            tie_word_embeddings=True,
            eos_token_id=end_id,
            pad_token_id=pad_id,
        )
