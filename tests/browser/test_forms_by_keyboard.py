"""Each form by keyboard alone, and by mouse where that is another way; what is checked is what the store holds."""

from harken.types import Comparison, Edit, Ranking, Rating

TWO = [{"name": "truth", "label": "Is it true?"}, {"name": "manner", "label": "Is it said well?", "levels": 7}]


def test_a_comparison_is_one_key(person):
    page = person.open(slug := person.place.project())
    page.wait_for_load_state("networkidle")
    wanted = person.place.ask("GET", f"/projects/{slug}")["left"]
    shown = []
    for key in "1234":
        shown.append(tuple(person.shown()))
        person.press(key)
    kept = [answer.feedback for answer in person.kept(4)]
    assert all(isinstance(one, Comparison) for one in kept)
    assert [(one.a, one.b, one.choice) for one in kept] == [
        (*pair, choice) for pair, choice in zip(shown, ["a", "b", "tie", "both_bad"], strict=True)
    ]
    assert all(answer.seconds is not None and answer.seconds < 60 for answer in person.kept(4))
    assert page.locator("#left").inner_text() == f"{wanted - 4} answers wanted"
    # In a pause it is what the studio counts, others' answers and all.
    page.evaluate("document.getElementById('left').textContent = ''")
    page.wait_for_selector(f"#left:text-is('{wanted - 4} answers wanted')")


def test_a_comparison_with_strength_is_two_keys_and_the_first_can_be_taken_back(person):
    person.open(person.place.project(strength=True))
    person.press("1", "3")
    person.press("1", "Backspace", "2", "1")
    person.press("3")
    kept = [(one.feedback.choice, one.feedback.strength) for one in person.kept(3)]
    assert kept == [("a", 3), ("b", 1), ("tie", None)]


def test_while_it_is_asked_how_much_only_that_has_keys(person):
    page = person.open(person.place.project(strength=True))
    person.press("2", "4", "9")
    assert page.locator(".strength").is_visible()
    assert page.locator(".card kbd:visible").count() == 0
    person.press("2")
    [kept] = person.kept(1)
    assert (kept.feedback.choice, kept.feedback.strength) == ("b", 2)


def test_a_comparison_by_mouse_and_by_tab(person):
    page = person.open(person.place.project())
    page.get_by_role("button", name="B is better").click()
    page.get_by_role("button", name="Equally good").focus()
    person.press("Enter")
    assert [one.feedback.choice for one in person.kept(2)] == ["b", "tie"]


def test_a_ranking_by_digits_and_enter_with_ties(person):
    person.open(person.place.project(forms=["ranking"]))
    shown = []
    for keys in (
        ["3", "1", "Enter"],
        ["2", "=", "1", "Enter"],
        ["1", "2", "=", "Enter"],
        ["1", "Backspace", "3", "2", "Enter"],
    ):
        shown.append(person.shown())
        person.press(*keys)
    kept = [one.feedback for one in person.kept(4)]
    assert all(isinstance(one, Ranking) for one in kept)
    orders = [((3,), (1,), (2,)), ((2, 1), (3,)), ((1,), (2, 3)), ((3,), (2,), (1,))]
    assert [one.tiers for one in kept] == [
        tuple(tuple(names[n - 1] for n in tier) for tier in order) for names, order in zip(shown, orders, strict=True)
    ]


def test_a_ranking_of_the_best_alone(person):
    page = person.open(person.place.project(forms=["ranking"], top_k=1))
    shown = person.shown()
    person.press("Enter")
    assert page.locator("#errors").inner_text()
    person.press("2", "Enter")
    [kept] = [one.feedback for one in person.kept(1)]
    assert kept.tiers == ((shown[1],),)
    assert set(kept.rest) == {shown[0], shown[2]}


def test_a_ranking_by_buttons(person):
    page = person.open(person.place.project(forms=["ranking"]))
    shown = person.shown()
    # The first three buttons in the order of tabbing put answers in their places, and the focus is never lost.
    page.get_by_role("button", name="Put at place 1").first.focus()
    person.press("Enter", "Enter")
    page.get_by_role("button", name="Down: Answer 1").focus()
    person.press("Enter")
    page.get_by_role("button", name="Tie with the one above: Answer 3").press("Enter")
    page.get_by_role("button", name="Send").press("Enter")
    [kept] = [one.feedback for one in person.kept(1)]
    assert kept.tiers == ((shown[1],), (shown[0], shown[2]))


def test_a_finger_is_told_what_to_do(enter):
    person = enter(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = person.open(person.place.project(forms=["ranking"]))
    assert page.locator("#task .hint").inner_text().strip().startswith("Tap")


def drag(page, number: int, onto, low: bool) -> None:
    handle = page.locator(f".handle:has(+ strong:text-is('{number}'))")
    onto.scroll_into_view_if_needed()
    handle.scroll_into_view_if_needed()
    box, to = handle.bounding_box(), onto.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(to["x"] + 60, to["y"] + to["height"] / 2, steps=4)
    page.mouse.move(to["x"] + 60, to["y"] + to["height"] * (0.8 if low else 0.2), steps=3)
    page.mouse.up()


def test_a_ranking_by_dragging_the_handle(person):
    page = person.open(person.place.project(forms=["ranking"]))
    shown = person.shown()
    person.press("1", "2")
    rows = page.locator(".order > li")
    assert rows.count() == 3
    drag(page, 3, rows.nth(0), low=False)
    drag(page, 1, rows.nth(2), low=True)
    person.press("Enter")
    [kept] = [one.feedback for one in person.kept(1)]
    assert kept.tiers == ((shown[2],), (shown[1],), (shown[0],))


def test_what_is_not_yet_in_order_is_dragged_in_and_out_again(person):
    page = person.open(person.place.project(forms=["ranking"], top_k=2))
    shown = person.shown()
    person.press("2")
    drag(page, 3, page.locator(".order > li").first, low=False)
    assert page.locator(".order > li").count() == 2
    drag(page, 2, page.locator(".cards .card").first, low=True)
    assert page.locator(".order > li").count() == 1
    person.press("1", "Enter")
    [kept] = [one.feedback for one in person.kept(1)]
    assert (kept.tiers, kept.rest) == (((shown[2],), (shown[0],)), (shown[1],))


def test_grades_by_digits_on_several_criteria(person):
    page = person.open(person.place.project(forms=["rating"], criteria=TWO))
    [shown] = person.shown()
    person.press("4", "7")
    kept = [one.feedback for one in person.kept(2)]
    assert all(isinstance(one, Rating) and one.completion == shown for one in kept)
    assert {one.criterion: (one.score, one.levels) for one in kept} == {"truth": (4, 5), "manner": (7, 7)}
    # A grade that there is not says nothing.
    person.press("9")
    assert page.locator("input:checked").count() == 0


def test_grades_by_arrow_keys_are_sent_when_enter_is_pressed(person):
    page = person.open(person.place.project(forms=["rating"]))
    page.locator("input[type=radio]").first.focus()
    person.press("Space", "ArrowRight", "ArrowRight")
    page.wait_for_timeout(300)
    assert person.kept(0) == []
    person.press("Enter")
    assert [one.feedback.score for one in person.kept(1)] == [3]


def test_a_grade_by_mouse_is_one_click(person):
    page = person.open(person.place.project(forms=["rating"]))
    page.locator(".scale label").nth(3).click()
    assert [one.feedback.score for one in person.kept(1)] == [4]


def test_half_a_rating_and_half_a_ranking_are_there_after_a_reload(person):
    page = person.open(person.place.project(forms=["rating"], criteria=TWO))
    person.press("4")
    page.reload()
    page.wait_for_selector("#question")
    assert page.locator("input:checked").evaluate_all("(all) => all.map((one) => one.value)") == ["4"]
    person.press("7")
    assert {one.feedback.criterion: one.feedback.score for one in person.kept(2)} == {"truth": 4, "manner": 7}
    person.open(person.place.project(forms=["ranking"], top_k=2))
    shown = person.shown()
    person.press("3")
    page.reload()
    page.wait_for_selector("#question")
    person.press("1", "Enter")
    assert person.kept(3)[-1].feedback.tiers == ((shown[2],), (shown[0],))


def test_an_edit_shows_what_it_changes_and_that_is_kept(person):
    page = person.open(person.place.project(forms=["edit"]))
    box = page.locator("#revision")
    before = box.input_value()
    assert page.get_by_role("button", name="Send").is_disabled()
    person.press("Control+End")
    for _ in range(len("says 0.")):
        person.press("Backspace")
    page.keyboard.type("sf1 answers.")
    assert page.locator("#diff del").all_text_contents() == [before.split()[-2], before.split()[-1]]
    assert page.locator("#diff ins").all_text_contents() == ["sf1", "answers."]
    person.press("Control+Enter")
    [kept] = [one.feedback for one in person.kept(1)]
    assert isinstance(kept, Edit)
    assert kept.revision == before.rsplit(" ", 2)[0] + " sf1 answers."


def test_a_half_written_edit_is_there_after_a_reload(person):
    page = person.open(person.place.project(forms=["edit"]))
    page.keyboard.press("Control+End")
    page.keyboard.type(" And more")
    page.reload()
    page.wait_for_selector("#revision")
    assert page.locator("#revision").input_value().endswith(" And more")


def test_what_is_half_said_outlives_a_closed_tab_and_is_gone_when_it_is_sent(person):
    page = person.open(slug := person.place.project(forms=["edit"]))
    page.locator("#revision").fill("What I would rather read")
    person.press("Escape", "c")
    page.keyboard.type("why so")
    # Also while another is opened again.
    person.press("Escape", "s", "Escape", "u", "Enter")
    assert page.locator("#revision").input_value() == "What I would rather read"
    assert page.locator("#comment").input_value() == ""
    person.press("Escape", "c")
    page.keyboard.type("because")
    page.close()
    page = person.page = person.new_page()
    person.open(slug)
    person.press("Escape", "u")
    page.locator("#past li button").first.click()
    assert page.locator("#revision").input_value() == "What I would rather read"
    assert page.locator("#comment").input_value() == "because"
    person.press("Control+Enter")
    assert [one.feedback.revision for one in person.kept(1)] == ["What I would rather read"]
    person.all_sent()
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('harken-draft'))") == []


def test_a_comment_stays_when_another_item_is_opened_between(person):
    page = person.open(person.place.project())
    person.press("1", "c")
    page.keyboard.type("half a thought")
    person.press("Escape", "u", "Enter", "2")
    assert page.locator("#comment").input_value() == "half a thought"
    page.reload()
    page.wait_for_selector("#question")
    assert page.locator("#comment").input_value() == "half a thought"


def test_a_key_meant_for_the_item_before_is_no_letter_of_the_next(person):
    page = person.open(person.place.project(forms=["edit"]))
    person.press("Escape", "s")
    box = page.locator("#revision")
    before = box.input_value()
    person.press("s")
    assert box.input_value() == before
    page.wait_for_timeout(700)
    person.press("s")
    assert len(box.input_value()) == len(before) + 1
