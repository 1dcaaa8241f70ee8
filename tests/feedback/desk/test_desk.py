"""Whose turn it is: exact overlap, nobody twice, nothing stuck; whatever people do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.desk.desk import Desk, Item
from harken.feedback.desk.settings import ProjectSettings

LEASE = 100.0
WHAT = ("next", "answer", "skip", "leave", "wait", "move")


def desk_of(items: int, overlap: int, gold: int = 0, **more) -> Desk:
    desk = Desk()
    desk.set_project(1, ProjectSettings("t", overlap=overlap, lease_seconds=LEASE, **more))
    desk.add_items(Item(n, 1, "comparison", "p", ("a", "b"), float(n)) for n in range(1, items + 1))
    desk.add_items(Item(1000 + n, 1, "comparison", "p", ("a", "b"), 0.0, {"choice": "a"}) for n in range(gold))
    return desk


def answered(desk: Desk, item: int) -> list[str]:
    return [t.annotator for t in desk.turns_at(item) if t.ended == "answered" and not t.repeat]


@settings(max_examples=200)
@given(
    st.integers(1, 6),
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.integers(0, 4), st.sampled_from(["next", "answer", "skip", "leave", "wait", "move"]), st.integers(0, 5)
        ),
        max_size=80,
    ),
)
def test_counts_are_those_of_a_plain_reading_and_nobody_gets_an_item_twice(items, overlap, steps):
    desk, now = desk_of(items, overlap), 0.0
    held: dict[int, list[str]] = {n: [] for n in range(5)}
    for who, what, number in steps:
        name, mine = f"n{who}", held[who]
        if what == "next":
            given, _ = desk.give(1, name, "tab", set(mine), len(mine) + number, now)
            for turn in given:
                assert turn.annotator == name
                assert turn.ended is None
                mine.append(turn.key)
        elif what == "wait":
            now += 30.0 * number
        elif what == "leave":
            desk.release(name, "tab")
            mine.clear()
        elif what == "move":
            desk.move({item.id: float((item.id * 7 + number) % 5) for item in desk.wanting(1)})
        elif mine:
            desk.end(mine.pop(0), "answered" if what == "answer" else "skipped")
        for item in range(1, items + 1):
            turns = desk.turns_at(item)
            assert len({t.annotator for t in turns}) == len(turns)
            live = [t for t in turns if t.ended is None and t.until > now]
            late = [t for t in turns if t.ended == "answered"]
            # Who answers after the time was over is kept, and may be one more; nobody else is.
            assert len(live) <= overlap
            assert len(late) <= overlap + 4
        done = sum(min(len(answered(desk, item)), overlap) for item in range(1, items + 1))
        assert desk.left(1) == overlap * items - done


@settings(max_examples=50)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(5, 12), st.randoms(use_true_random=False))
def test_if_all_answer_in_time_the_overlap_is_exact(items, overlap, people, chance):
    desk = desk_of(items, overlap)
    now, going = 0.0, True
    while going:
        going = False
        names = [f"n{n}" for n in range(people)]
        chance.shuffle(names)
        for name in names:
            turns, _ = desk.give(1, name, "t", (), chance.randint(1, 5), now)
            for turn in turns:
                going = True
                if chance.random() < 0.7:
                    desk.end(turn.key, "answered")
            if chance.random() < 0.3:
                desk.release(name, "t")
        now += 40
    for item in range(1, items + 1):
        assert len(answered(desk, item)) == overlap
        assert len(set(answered(desk, item))) == overlap
    assert desk.left(1) == 0


def test_what_somebody_leaves_comes_to_others_and_their_late_answer_counts():
    desk = desk_of(1, 1)
    [turn], new = desk.give(1, "ann", "t", (), 5, 0.0)
    assert new == [turn]
    assert desk.give(1, "bob", "t", (), 5, 50.0) == ([], [])
    [other], _ = desk.give(1, "bob", "t", (), 5, 101.0)
    assert other.item == turn.item
    desk.end(turn.key, "answered")
    desk.end(other.key, "answered")
    assert sorted(answered(desk, 1)) == ["ann", "bob"]
    assert desk.left(1) == 0


def test_a_window_that_is_loaded_anew_gets_back_what_it_had_and_another_one_does_not():
    desk = desk_of(10, 1)
    first, _ = desk.give(1, "ann", "one", (), 3, 0.0)
    again, new = desk.give(1, "ann", "one", (), 3, 1.0)
    assert ([t.key for t in again], new) == ([t.key for t in first], [])
    other, _ = desk.give(1, "ann", "two", (), 3, 2.0)
    assert not {t.item for t in other} & {t.item for t in first}


def test_who_comes_back_to_an_item_goes_on_under_the_same_key():
    desk = desk_of(1, 1)
    [turn], _ = desk.give(1, "ann", "t", (), 1, 0.0)
    desk.release("ann", "t")
    [again], _ = desk.give(1, "ann", "u", (), 1, 1.0)
    assert again.key == turn.key
    assert again.ended is None


def test_a_skipped_item_goes_to_somebody_else():
    desk = desk_of(1, 1)
    [turn], _ = desk.give(1, "ann", "t", (), 1, 0.0)
    desk.end(turn.key, "skipped")
    assert desk.give(1, "ann", "t", (), 1, 1.0) == ([], [])
    assert len(desk.give(1, "bob", "t", (), 1, 2.0)[0]) == 1


def test_questions_with_known_answers_and_repeats_are_mixed_in():
    desk = desk_of(60, 1, gold=3, gold_every=5, repeat_every=4)
    seen = []
    for _ in range(50):
        [turn], _ = desk.give(1, "ann", "t", (), 1, 0.0)
        desk.end(turn.key, "answered")
        seen.append(turn)
    gold = [n for n, turn in enumerate(seen) if turn.item >= 1000]
    assert gold == [4, 9, 14]
    repeats = [n for n, turn in enumerate(seen) if turn.repeat]
    assert repeats
    for n in repeats:
        before = next(m for m, turn in enumerate(seen) if turn.item == seen[n].item and not turn.repeat)
        assert n - before > 10
    assert len({seen[n].item for n in repeats}) == len(repeats)
    assert desk.left(1) == 60 - (50 - len(repeats) - len(gold))


def test_only_those_who_are_named_get_items_and_only_while_it_is_open():
    desk = desk_of(2, 1, annotators=("ann",))
    assert desk.give(1, "bob", "t", (), 1, 0.0) == ([], [])
    assert desk.give(1, "ann", "t", (), 1, 0.0)[0]
    desk.set_project(1, ProjectSettings("t", open=False))
    assert desk.give(1, "ann", "u", (), 1, 0.0) == ([], [])


def test_a_larger_overlap_opens_what_was_done():
    desk = desk_of(1, 1)
    [turn], _ = desk.give(1, "ann", "t", (), 1, 0.0)
    desk.end(turn.key, "answered")
    assert desk.give(1, "bob", "t", (), 1, 0.0)[0] == []
    desk.set_project(1, ProjectSettings("t", overlap=2))
    assert desk.left(1) == 1
    assert desk.give(1, "bob", "t", (), 1, 0.0)[0]


def test_a_window_that_goes_on_asking_keeps_what_it_holds_and_one_that_is_gone_does_not():
    desk = desk_of(8, 1)
    mine, _ = desk.give(1, "ann", "tab", (), 6, 0.0)
    gone, _ = desk.give(1, "bob", "tab", (), 2, 0.0)
    held = {turn.key for turn in mine}
    for now in range(20, 400, 20):
        _, kept = desk.give(1, "ann", "tab", held, 6, float(now))
        assert {turn.key for turn in kept} in (set(), held)
        assert all(turn.ended is None for turn in mine)
    assert [turn.ended for turn in gone] == ["returned", "returned"]
    others, _ = desk.give(1, "eve", "tab", (), 8, 380.0)
    assert {turn.item for turn in others} == {turn.item for turn in gone}


def test_an_old_item_that_comes_again_is_found_by_a_window_that_was_loaded_anew():
    desk = desk_of(400, 1)
    [first], _ = desk.give(1, "ann", "tab", (), 1, 0.0)
    desk.release("ann", "tab")
    desk.move({first.item: 1000.0})
    for _ in range(399):
        [turn], _ = desk.give(1, "ann", "tab", (), 1, 1.0)
        desk.end(turn.key, "answered")
    [last], _ = desk.give(1, "ann", "tab", (), 1, 2.0)
    again, _ = desk.give(1, "ann", "tab", (), 1, 3.0)
    assert [turn.key for turn in again] == [last.key] == [first.key]
