"""Word vectors from files of word2vec's and GloVe's formats, and what is said of broken ones."""

import numpy as np
import pytest
import torch
from tiny_text import text_family

from harken.models.fusion.build import build
from harken.models.fusion.encoders.text.vector_file import read_vectors

ROWS = ["the 0.5 -1 2", "Cat 1e-2 2 3", "of 4 5 6", "dog -7 8 9"]
GLOVE = "\n".join(ROWS) + "\n"
WORD2VEC = "4 3 \n" + "\n".join(row + " " for row in ROWS) + "\n"
CORPUS = ["the dog barks", "the cat", "a dog, 42 dogs"]


@pytest.fixture
def file(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> str:
        (tmp_path / "vectors.txt").write_bytes(text.encode(encoding))
        return str(tmp_path / "vectors.txt")

    return write


def words_of(processor) -> list[str]:
    """The words that a model's tokenizer knows, in the order of their rows."""
    vocabulary = processor._own_reader.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)[1:]


@pytest.mark.parametrize("text", [GLOVE, WORD2VEC, GLOVE.replace("\n", "\r\n"), GLOVE.rstrip("\n")])
def test_both_formats_are_read(file, text, tmp_path):
    found = read_vectors(tmp_path / "vectors.txt", {"the", "dog"}, 9, str.lower) if file(text) else None
    assert list(found.of) == ["the", "cat", "of", "dog"]
    np.testing.assert_array_equal(np.stack(list(found.of.values()))[:2], np.float32([[0.5, -1, 2], [1e-2, 2, 3]]))


def test_what_is_wanted_is_read_first_and_then_the_beginning_of_the_file(file, tmp_path):
    file(GLOVE)
    assert list(read_vectors(tmp_path / "vectors.txt", {"dog"}, 1, str.lower).of) == ["the", "dog"]
    assert list(read_vectors(tmp_path / "vectors.txt", {"dog"}, 0, str.lower).of) == ["dog"]
    assert list(read_vectors(tmp_path / "vectors.txt", set(), 9, lambda w: w if w.islower() else None).of) == [
        "the",
        "of",
        "dog",
    ]


def test_words_with_spaces_and_a_word_again(file, tmp_path):
    file("the 1 2\n. . . 3 4\nthe 5 6\n\u2028 7 8\n")
    found = read_vectors(tmp_path / "vectors.txt", set(), 9, str)
    assert {word: vector.tolist() for word, vector in found.of.items()} == {
        "the": [1, 2],
        ". . .": [3, 4],
        "\u2028": [7, 8],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty, or begins with an empty line"),
        ("\nthe 1 2\n", "is empty, or begins with an empty line"),
        ("2 3\n", "line 1 says that there are 2 words, but there are 0"),
        ("0 3\n", "holds no words"),
        ("the\n", "line 1: a row is a word and its numbers, not 'the'"),
        ("the 1 2\ncat 1\ndog 1 2\n", "line 2: 2 columns, not a word and 2 numbers.*'cat 1'.*take the line away"),
        ("the 1 2\ncat 1 2 3\n", "line 2: 4 columns"),
        ("the 1 2\n\ncat 1 2\n", "line 2: 1 columns"),
        ("2 3\nthe 1 2 3\ncat 1 2\n", "line 3: 3 columns, not a word and 3 numbers"),
        ("the 1 2\ncat 1 x2\n", "line 2: 'x2' is no number; mend or take away"),
        ("the 1 nan\n", "line 1: nan is not finite"),
        ("the 1 2\ncat -inf 1\n", "line 2: -inf is not finite"),
        ("the 1 1e99\n", "line 1: 1e99 is not finite in 32 bits"),
        ("3 2\nthe 1 2\ncat 1 2\n", "says that there are 3 words, but there are 2; the file was cut or joined"),
        ("4 3\n\x00\x7f\x00\x7f\x00", "line 2: 1 columns.*text format"),
    ],
)
def test_broken_files_say_where_and_how_to_mend_them(file, tmp_path, text, why):
    file(text)
    with pytest.raises(ValueError, match=rf"vectors\.txt.*{why}"):
        read_vectors(tmp_path / "vectors.txt", set(), 9, str)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no such file of word vectors"):
        build(text_family({"name": "words", "vectors": str(tmp_path / "none.txt")}), CORPUS, 0)


def test_a_model_begins_with_the_vectors_of_a_file(file):
    trunk, processor = build(text_family({"name": "words", "vectors": file(GLOVE), "train": False}), CORPUS, 0)
    words, encoder = words_of(processor), trunk.model.encoders["text"].encoder
    assert words == ["the", "dog", "barks", "cat", "a", ",", "42", "dogs", "of"]
    assert trunk.config.encoders["text"]["vocabulary"] == 9
    assert trunk.config.encoders["text"]["dimensions"] == 3
    assert not encoder.table.weight.requires_grad
    read = torch.tensor([[0.5, -1, 2], [-7, 8, 9], [1e-2, 2, 3], [4, 5, 6]])
    assert torch.equal(encoder.table.weight[[0, 1, 3, 8]], read)
    # What the file lacks is as random as without it, as widely spread as what it has.
    other = build(text_family({"name": "words", "dimensions": 3}), CORPUS, 0)[0].model.encoders["text"].encoder
    assert encoder.table.weight[2].std() > 0
    assert other.table.weight.shape == (8, 3)
    ids = processor(text="<text>The DOG meows")["text_ids"]
    assert ids.tolist() == [[1, 2, 0]]
    assert torch.equal(encoder(ids).states[0], torch.stack([read[0], read[1], encoder.unknown.detach()]))


def test_at_most_so_many_words_those_of_the_corpus_first(file):
    _, processor = build(text_family({"name": "words", "vectors": file(GLOVE), "vocabulary": 3}), CORPUS, 0)
    assert words_of(processor) == ["the", "dog", "barks"]
    _, processor = build(text_family({"name": "words", "lower": False}), ["Wörter 漢字 sind Wörter"], 0)
    assert words_of(processor) == ["Wörter", "漢", "字", "sind"]


def test_other_dimensions_and_no_words_are_refused(file):
    with pytest.raises(ValueError, match=r"text\.dimensions is 5, but the vectors of .* have 3; leave it out"):
        build(text_family({"name": "words", "vectors": file(GLOVE), "dimensions": 5}), CORPUS, 0)
    with pytest.raises(ValueError, match="the corpus holds no words"):
        build(text_family({"name": "words"}), [" "], 0)
