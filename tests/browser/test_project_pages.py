"""What an owner does on pages: make projects, change them, compare two policies, watch a run."""


def test_a_project_is_made_closed_and_opened(enter):
    person = enter(role="owner")
    page = person.page
    page.goto(f"{person.place.address}/make")
    page.get_by_label("Title").fill("Made by hand")
    page.get_by_role("checkbox", name="policy-0").check()
    page.get_by_role("checkbox", name="policy-1").check()
    page.get_by_role("button", name="Make the project").click()
    page.wait_for_url("**/projects/made-by-hand")
    assert page.locator("tbody tr").count() > 20
    assert "What is number" in page.locator("tbody").inner_text()
    page.get_by_role("button", name="Close the project").click()
    page.get_by_role("button", name="Open the project").wait_for()
    person.page.goto(f"{person.place.address}/p/made-by-hand")
    assert person.page.url == f"{person.place.address}/"


def test_two_policies_are_compared_blind_with_two_clicks(enter):
    person = enter(role="owner")
    page = person.page
    page.goto(person.place.address)
    page.get_by_role("link", name="New project").click()
    with page.expect_navigation(url="**/projects/**"):
        page.get_by_role("button", name="Compare them, blind").click()
    assert page.locator("h1").inner_text() == "policy-0 or policy-1?"
    slug = page.url.rsplit("/", 1)[1]
    assert person.place.ask("GET", f"/projects/{slug}")["settings"]["policies"] == ["policy-0", "policy-1"]


def test_a_projects_settings_are_changed_and_an_item_becomes_a_known_answer(enter):
    person = enter(role="owner")
    page, slug = person.page, person.place.project(title="To be changed")
    page.goto(f"{person.place.address}/projects/{slug}")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("People per item").fill("2")
    page.get_by_label("Only these people").fill("Zoe, Adam")
    page.get_by_label("One turn in how many has a known answer").fill("4")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    told = person.place.ask("GET", f"/projects/{slug}")["settings"]
    assert (told["overlap"], told["annotators"], told["gold_every"]) == (2, ["Zoe", "Adam"], 4)
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Minutes until an item").fill("20000")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_label("Minutes until an item").evaluate("node => !node.checkValidity()")
    page.locator("tbody a").first.click()
    page.get_by_text("Make it a question with a known answer").click()
    page.get_by_label("The right answer").select_option(label="Equally good")
    page.get_by_role("button", name="Make it", exact=True).click()
    page.locator("#done:not(:empty)").wait_for()
    page.get_by_role("link", name="All items of To be changed").click()
    page.locator("td", has_text="known answer").wait_for()


def test_curves_of_a_run_grow_while_one_looks(enter):
    person = enter(role="owner")
    page, run = person.page, person.place.folder.parent / "under-way"
    run.mkdir(exist_ok=True)
    (run / "run.json").write_text("{}")

    def step(first: int, last: int) -> None:
        with (run / "metrics.jsonl").open("a") as file:
            file.writelines(f'{{"stage": "sft", "step": {n}, "loss": {2 - n / 10}}}\n' for n in range(first, last))

    step(0, 3)
    page.clock.install()
    page.goto(f"{person.place.address}/dashboard")
    picture = page.locator("#run-under-way img")
    assert "2.0 → 1.8" in picture.get_attribute("alt")
    step(3, 8)
    page.clock.run_for(11_000)
    page.locator("#run-under-way img[alt*='2.0 → 1.3']").wait_for()
    assert picture.evaluate("node => node.complete && node.naturalWidth > 0")
