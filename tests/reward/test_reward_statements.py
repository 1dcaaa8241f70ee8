import pytest
import torch
from spoken import ANNOTATORS, COMPLETIONS, EVERY, answer

from harken.feedback.kinds.edit import revision
from harken.reward.likelihoods.edit import edit_weight
from harken.reward.statements import labels_of, on_criterion, scales_of, statements_of
from harken.reward.wording import Wording
from harken.types import Comparison, Edit, Ranking, Rating


def test_labels_name_the_rows_of_what_was_shown():
    statements, every = statements_of(EVERY, COMPLETIONS, 1, 0)
    row = {name: n for n, name in enumerate(every)}
    said = labels_of(statements, row, Wording(ANNOTATORS, scales_of(EVERY)), every)
    assert said["comparison.a"].tolist() == [0, 2, 2]
    assert said["comparison.b"].tolist() == [1, 1, 3]
    assert said["comparison.choice"].tolist() == [0, 3, 2]
    assert said["comparison.annotator"].tolist() == [0, 1, 1]
    assert said["comparison.weight"].tolist() == [[1.0], [1.0], [3.0]]
    assert said["ranking.items"].tolist() == [[1, 0, 2], [1, 0, 2], [2, 0, 0]]
    assert said["ranking.tier"].tolist() == [[0, 1, 2], [0, 0, 1], [0, 1, -1]]
    assert said["ranking.tiers"].tolist() == [2, 1, 1]
    assert said["rating.grade"].tolist() == [4, 1, 8]
    assert said["rating.levels"].tolist() == [5, 5, 11]
    edits = [a for a in EVERY if isinstance(a.feedback, Edit)]
    assert said["edit.revision"].tolist() == [row[revision(a.feedback, a.annotator).id] for a in edits]
    assert said["edit.original"].tolist() == [1, 3]
    texts = [(COMPLETIONS[a.feedback.completion].text, a.feedback.revision) for a in edits]
    assert said["edit.weight"][:, 0].tolist() == pytest.approx([edit_weight(*pair) for pair in texts])


def test_members_see_their_own_bootstrap_which_new_answers_leave_as_it_was():
    many = [answer(Comparison("p", "w", "x", "a"), key=str(n), count=1 + n % 2) for n in range(2000)]
    found, _ = statements_of(many, COMPLETIONS, 4, 7)
    weight = torch.stack([statement.weight for statement in found])
    assert weight[::2].mean().item() == pytest.approx(1.0, abs=0.05)
    assert weight[::2].var().item() == pytest.approx(1.0, abs=0.1)
    assert weight[1::2].mean().item() == pytest.approx(2.0, abs=0.07)
    fewer, _ = statements_of(many[500:], COMPLETIONS, 4, 7)
    assert all(torch.equal(one.weight, other.weight) for one, other in zip(found[500:], fewer, strict=True))
    other, _ = statements_of(many[:1], COMPLETIONS, 4, 8)
    assert len(other) == 1


def test_one_criterion_at_a_time_and_an_edit_speaks_of_all():
    wit = [
        answer(Rating("p", "w", 5, criterion="wit")),
        answer(Comparison("p", "w", "x", "a", "wit")),
        answer(Ranking("p", (("x",), ("w",)), (), "wit")),
    ]
    edit = answer(Edit("p", "x", "other"))
    assert on_criterion([*EVERY, *wit], "overall") == EVERY
    assert on_criterion([*wit, edit], "wit") == [*wit, edit]
    with pytest.raises(ValueError, match="no answer is on the criterion 'overall'; there are wit"):
        on_criterion(wit, "overall")
    assert on_criterion([], "overall") == []


def test_places_of_edits_are_those_of_their_tokens():
    statements, every = statements_of([answer(Edit("p", "x", "new"))], COMPLETIONS, 1, 0)
    new = statements[0].completions[0]
    ids = {"x": torch.tensor([1, 2, 3, 4, 5, 9]), new: torch.tensor([1, 7, 3, 4, 9])}
    said = labels_of(statements, {new: 0, "x": 1}, Wording(["ada"]), every, ids)
    assert said["edit.span"].tolist() == [[0, 1, 2, 1, 2], [0, 4, 5, 4, 4]]
