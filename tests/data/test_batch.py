import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.data.batch import EncodedPrompt, collate, collate_prompts, pad_left, pad_right, stack_media

PAD = 0
rows = st.lists(st.lists(st.integers(1, 99), max_size=6), min_size=1, max_size=5)
fast = settings(max_examples=60)


def ids(row: list[int]) -> torch.Tensor:
    return torch.tensor(row, dtype=torch.long)


@fast
@given(rows=rows, extra=st.integers(0, 3))
def test_padding_on_the_right(rows, extra):
    length = max(map(len, rows)) + extra
    assert pad_right([ids(r) for r in rows], -1, length).tolist() == [r + [-1] * (length - len(r)) for r in rows]
    if not extra:
        assert pad_right([ids(r) for r in rows], -1).tolist() == [r + [-1] * (length - len(r)) for r in rows]


@fast
@given(rows=rows)
def test_padding_on_the_left(rows):
    length = max(map(len, rows))
    assert pad_left([ids(r) for r in rows], -1).tolist() == [[-1] * (length - len(r)) + r for r in rows]


def test_padding_on_the_right_keeps_inner_axes():
    seen = pad_right([torch.ones(1, 2), 2 * torch.ones(3, 2)])
    assert seen.tolist() == [[[1, 1], [0, 0], [0, 0]], [[2, 2], [2, 2], [2, 2]]]


@fast
@given(shapes=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4))
def test_media_are_stacked_and_filled_with_zeros_on_the_right(shapes):
    tensors = [torch.randn(shape) for shape in shapes]
    out = stack_media(tensors)
    assert out.shape == (sum(s[0] for s in shapes), max(s[1] for s in shapes), max(s[2] for s in shapes))
    row = 0
    for tensor in tensors:
        n, height, width = tensor.shape
        assert torch.equal(out[row : row + n, :height, :width], tensor)
        out[row : row + n, :height, :width] = 0
        row += n
    assert not out.any()


def test_media_of_different_axes_are_refused():
    with pytest.raises(ValueError, match="differ in their axes"):
        stack_media([torch.zeros(1, 2), torch.zeros(1, 2, 3)])


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[EncodedPrompt], list[torch.Tensor], list[int]]:
    prompts = []
    for row in draw(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=6), min_size=1, max_size=4)):
        pictures = draw(st.integers(0, 2))
        # Rows of media carry numbers of their own, so that order can be told.
        media = {"pixels": torch.randn(pictures, draw(st.integers(1, 3)), 2)} if pictures else {}
        placeholders = {"image": pictures} if pictures or draw(st.booleans()) else {}
        prompts.append(EncodedPrompt(ids(row), {"kinds": ids(row) % 3}, media, placeholders))
    completions = draw(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=5), min_size=1, max_size=8))
    which = draw(st.lists(st.integers(0, len(prompts) - 1), min_size=len(completions), max_size=len(completions)))
    return prompts, [ids(c) for c in completions], which


@fast
@given(made=batches())
def test_a_batch_gives_back_what_went_in(made):
    """Ragged groups: any number of completions a prompt, none too, in any order."""
    prompts, completions, which = made
    batch = collate(prompts, completions, which, PAD, {"advantages": torch.arange(len(which))})
    for p, prompt in enumerate(prompts):
        mask = batch.prompts.mask[p]
        assert torch.equal(batch.prompts.ids[p][mask], prompt.ids)
        assert torch.equal(batch.prompts.per_token["kinds"][p][mask], prompt.per_token["kinds"])
        assert not batch.prompts.ids[p][~mask].any()
        assert mask[-1]  # completions continue the prompt: its last token is the last column
        assert torch.equal(mask, mask.sort().values)
    for n, completion in enumerate(completions):
        mask = batch.completions.mask[n]
        assert torch.equal(batch.completions.ids[n][mask], completion)
        assert not batch.completions.ids[n][~mask].any()
        assert mask[0]
        assert torch.equal(mask, mask.sort(descending=True).values)
    assert batch.completions.prompt.tolist() == which
    assert batch.labels["advantages"].tolist() == list(range(len(which)))


@fast
@given(made=batches())
def test_media_lie_in_the_order_of_the_prompts(made):
    prompts, _, _ = made
    out = collate_prompts(prompts, PAD)
    given_media = [p.media["pixels"] for p in prompts if p.media]
    assert ("pixels" in out.media) == bool(given_media)
    row = 0
    for media in given_media:
        assert torch.equal(out.media["pixels"][row : row + len(media), : media.shape[1]], media)
        row += len(media)
    counts = out.placeholders.get("image", torch.zeros(len(prompts), dtype=torch.long))
    assert counts.tolist() == [p.placeholders.get("image", 0) for p in prompts]
    assert counts.sum() == row


def test_one_modality_of_many_is_counted_for_each_prompt():
    both = EncodedPrompt(ids([1]), placeholders={"image": 2, "audio": 1})
    none = EncodedPrompt(ids([1]))
    out = collate_prompts([none, both], PAD)
    assert {name: counts.tolist() for name, counts in out.placeholders.items()} == {"audio": [0, 1], "image": [0, 2]}


PROMPT = EncodedPrompt(ids([1, 2]))


@pytest.mark.parametrize(
    ("completions", "which", "why"),
    [
        ([[1], [2]], [0], "2 completions, but 1 prompt rows"),
        ([[1]], [1], "completion 0 names prompt row 1, but there are 1"),
        ([[1], [2]], [0, -1], "completion 1 names prompt row -1"),
        ([[1], []], [0, 0], "completion 1 has no tokens"),
    ],
)
def test_batches_that_make_no_sense(completions, which, why):
    with pytest.raises(ValueError, match=why):
        collate([PROMPT], [ids(c) for c in completions], which, PAD)


def test_a_batch_moves_as_a_whole():
    prompt = EncodedPrompt(ids([1, 2]), {"kinds": ids([0, 1])}, {"pixels": torch.ones(1, 2)}, {"image": 1})
    moved = collate([prompt], [ids([3])], [0], PAD, {"advantages": torch.ones(1, 1)}).to(torch.device("meta"))
    p, c = moved.prompts, moved.completions
    tensors = [p.ids, p.mask, p.per_token["kinds"], p.media["pixels"], p.placeholders["image"], c.ids, c.mask, c.prompt]
    assert {t.device.type for t in [*tensors, moved.labels["advantages"]]} == {"meta"}
