"""Word vectors, learnt or read from a file (word2vec, 1301.3781; GloVe, Pennington 2014).

The vocabulary is of whole words: those of the corpus, the most frequent first, and then those of the file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder
from harken.models.fusion.encoders.text.vector_file import Vectors, read_vectors
from harken.models.fusion.encoders.text.writing import Fitted, TextEncoder, Writing
from harken.models.fusion.stream import Stream, lengths_or_all

UNKNOWN = "[UNK]"
DIMENSIONS = 64
"""Of the vectors, where neither a file nor the settings say it."""


@dataclass(frozen=True)
class Words(Writing):
    """One vector a word.

    Attributes:
        vectors: a file of them, in word2vec's or GloVe's text format; random ones without.
        dimensions: of the vectors; the file's, if there is one.
        vocabulary: at most so many words; a new model writes here how many there came to be.
        lower: whether words are read in small letters.
        train: whether the vectors are trained, or stay as they are read; that of unknown words always is.
    """

    vectors: str | None = None
    dimensions: int | None = None
    vocabulary: int = 20_000
    lower: bool = True
    train: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "text", dimensions=1, vocabulary=1)

    @property
    def brings_tokenizer(self) -> bool:
        """It reads words."""
        return True

    def fitted(self, corpus: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Fitted:
        """The vocabulary, and the vectors of a file.

        Raises:
            ValueError: if there are no words, the file is broken, or its vectors have other dimensions.
        """
        words = self._of_corpus(corpus)
        read = Vectors(self.dimensions or DIMENSIONS)
        if self.vectors is not None:
            read = read_vectors(Path(self.vectors), frozenset(words), self.vocabulary - len(words), self._as_read)
            if self.dimensions not in (None, read.dimensions):
                raise ValueError(
                    f"text.dimensions is {self.dimensions}, but the vectors of {self.vectors} have {read.dimensions}; "
                    "leave it out"
                )
        words = list(dict.fromkeys([*words, *read.of]))
        if not words:
            raise ValueError("text: the corpus holds no words; give texts such as the model will read, or text.vectors")
        settings = replace(self, dimensions=read.dimensions, vocabulary=len(words))

        def start(encoder: Encoder) -> None:
            assert isinstance(encoder, WordVectors)
            encoder.take({row: read.of[word] for row, word in enumerate(words) if word in read.of})

        return Fitted(settings, self._tokenizer(words), start)

    def build(self) -> "WordVectors":
        """The encoder, with random vectors."""
        return WordVectors(self)

    def _of_corpus(self, corpus: Sequence[str]) -> list[str]:
        counts = Counter(word for text in corpus for word in self._split(text))
        return [word for word, _ in counts.most_common(self.vocabulary)]

    def _as_read(self, written: str) -> str | None:
        words = self._split(written)
        return words[0] if len(words) == 1 else None

    def _split(self, text: str) -> list[str]:
        found = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(self._normalizer().normalize_str(text))
        return [word for word, _ in found]

    def _normalizer(self) -> normalizers.Normalizer:
        # Each Chinese character is a word of its own: between them there are no spaces to split at.
        return normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=self.lower
        )

    def _tokenizer(self, words: Sequence[str]) -> PreTrainedTokenizerFast:
        ids = {word: n for n, word in enumerate([UNKNOWN, *words])}
        made = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
        made.normalizer = self._normalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return PreTrainedTokenizerFast(tokenizer_object=made, unk_token=UNKNOWN)


class Lookup(nn.Module):
    """A word's vector by its id: word n has id n + 1, and id 0 is a word not known. It has no weights of its own."""

    def __init__(self, encoder: "WordVectors"):
        super().__init__()
        self._of = (encoder,)  # in a tuple, so that it is no part of what it is a part of

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Vectors of ids."""
        (encoder,) = self._of
        return torch.where((ids > 0)[..., None], encoder.table((ids - 1).clamp(min=0)), encoder.unknown)


class WordVectors(TextEncoder):
    """`text_ids` (B, T), `text_lengths` (B,) -> states (B, T, D): each word's vector. Id 0 is a word not known."""

    table: nn.Embedding

    def __init__(self, settings: Words):
        super().__init__()
        self.width = settings.dimensions or DIMENSIONS
        self.table = nn.Embedding(settings.vocabulary, self.width)
        self.table.weight.requires_grad_(settings.train)
        self.unknown = nn.Parameter(torch.randn(self.width))
        self.lookup = Lookup(self)

    @property
    def words(self) -> nn.Module:
        """Known words and others."""
        return self.lookup

    @torch.no_grad()
    def take(self, vectors: dict[int, np.ndarray]) -> None:
        """Vectors from a file by row of the table; the random ones are given their spread."""
        if not vectors:
            return
        read = torch.from_numpy(np.stack(list(vectors.values()))).to(self.table.weight)
        spread = read.std(unbiased=False)
        self.table.weight.mul_(spread)
        self.unknown.mul_(spread)
        self.table.weight[list(vectors)] = read

    def forward(self, media: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B texts, one a word."""
        real = torch.arange(media.shape[1], device=media.device) < lengths_or_all(media, lengths)[:, None]
        return Stream(self.lookup(media) * real[..., None], real)
