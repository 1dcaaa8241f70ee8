"""Word vectors from a text file, as word2vec (1301.3781) and GloVe (Pennington 2014) write them.

A row is a word and its numbers, with spaces between; word2vec's first line says how many rows and numbers there are.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float

MEND = "give a file in word2vec's or GloVe's text format, whole and not packed"


@dataclass
class Vectors:
    """Vectors of words.

    Attributes:
        dimensions: of each.
        of: the words, in the order of the file, and their vectors.
    """

    dimensions: int
    of: dict[str, Float[np.ndarray, " D"]] = field(default_factory=dict)


def read_vectors(path: Path, wanted: Collection[str], room: int, word_of: Callable[[str], str | None]) -> Vectors:
    """The vectors of the words that are wanted, and of the first others for which there is room.

    Args:
        path: the file.
        wanted: words that are read wherever they stand.
        room: how many others are read.
        word_of: a row's word as the model's tokenizer writes it, or None if it would make no one word of it. Of rows
            with the same word the first counts.

    Raises:
        ValueError: if the file is not there, is empty, or a line of it is broken: which one, and how to mend it.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file of word vectors; {MEND}")
    # "\n" alone ends a row: other characters that end lines are words in some files.
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        rows: Iterator[tuple[int, str]] = enumerate((line.rstrip("\r\n ") for line in lines), 1)
        first = next(rows, (0, ""))[1].split(" ")
        said = [int(part) for part in first] if len(first) == 2 and all(part.isdecimal() for part in first) else None
        if first == [""]:
            raise ValueError(f"{path} is empty, or begins with an empty line; {MEND}")
        if said is None:
            rows = chain([(1, " ".join(first))], rows)
        found = Vectors(said[1] if said else len(first) - 1)
        if found.dimensions < 1:
            raise ValueError(f"{path}, line 1: a row is a word and its numbers, not {_shown(first[0])}; {MEND}")
        count = _take(found, _split(path, rows, found.dimensions), wanted, room, word_of)
    if said and count != said[0]:
        raise ValueError(
            f"{path}: line 1 says that there are {said[0]} words, but there are {count}; the file was cut or joined, "
            "so copy it again, or take line 1 away"
        )
    if not count:
        raise ValueError(f"{path} holds no words; {MEND}")
    return found


def _split(path: Path, rows: Iterator[tuple[int, str]], dimensions: int) -> Iterator[tuple[str, str, list[str]]]:
    """Where each row stands, its word and its numbers."""
    for n, row in rows:
        word, *numbers = row.rsplit(" ", dimensions)
        # GloVe's largest file has words with spaces in them, such as ". . ."; their last piece is no number.
        if len(numbers) != dimensions or not word or _is_number(word.rpartition(" ")[2] if " " in word else ""):
            raise ValueError(
                f"{path}, line {n}: {len(row.split(' '))} columns, not a word and {dimensions} numbers as in line 1: "
                f"{_shown(row)}; take the line away, or {MEND}"
            )
        yield f"{path}, line {n}", word, numbers


def _take(
    found: Vectors,
    rows: Iterator[tuple[str, str, list[str]]],
    wanted: Collection[str],
    room: int,
    word_of: Callable[[str], str | None],
) -> int:
    """Put what is read of rows into `found`; how many rows there were."""
    count = 0
    for where, written, numbers in rows:
        count += 1
        word = word_of(written)
        if word is None or word in found.of:
            continue
        if word not in wanted:
            if not room:
                continue
            room -= 1
        found.of[word] = _vector(where, numbers)
    return count


def _vector(where: str, numbers: list[str]) -> Float[np.ndarray, " D"]:
    wrong = next((number for number in numbers if not _is_number(number)), None)
    if wrong is not None:
        raise ValueError(f"{where}: {_shown(wrong)} is no number; mend or take away the line, or {MEND}")
    with np.errstate(over="ignore"):  # what is too large is named below
        vector = np.array(numbers, dtype=np.float32)
    if not np.isfinite(vector).all():
        wrong = numbers[int(np.argmin(np.isfinite(vector)))]
        raise ValueError(f"{where}: {wrong} is not finite in 32 bits; take the line away, or write it again")
    return vector


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
