"""`harken studio user ...` while a studio is at work on the same store."""

import pytest
from typer.testing import CliRunner

from harken.cli.studio import _greet, user
from harken.studio.accounts import SETTLED
from harken.studio.state import Studio


def command(studio: Studio, *words: str) -> tuple[int, str]:
    place = [
        "--folder",
        str(studio.config.folder),
        *(["--database", studio.config.database] if studio.config.database else []),
    ]
    told = CliRunner().invoke(user, [*words, *place])
    return told.exit_code, told.output


def test_people_come_get_another_role_and_go_beside_a_studio_at_work(people):
    studio = people.studio
    code, told = command(studio, "add", "ann [b]", "--role", "reviewer")
    assert (code, "ann [b] (reviewer)" in told) == (0, True)
    invite = told.split("#")[1].strip()
    client = people.stranger()
    assert client.post("/api/v1/session", json={"invite": invite}).json()["role"] == "reviewer"
    code, told = command(studio, "invite", "ann [b]")
    assert (code, studio.accounts.redeem(told.split("#")[1].strip()).name) == (0, "ann [b]")
    assert command(studio, "role", "ann [b]", "owner") == (0, "ann [b] is owner\n")
    assert command(studio, "list") == (0, "ann [b]  owner\n")
    code, told = command(studio, "remove", "ann [b]")
    assert (code, "only owner" in told) == (2, True)
    studio.accounts.add("olga", "owner")
    code, told = command(studio, "remove", "ann [b]")
    assert (code, f"{SETTLED:g} seconds" in told) == (0, True)
    assert command(studio, "list") == (0, "olga  owner\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "a:b"), "is no name"),
        (("add", "a/b"), "is no name"),
        (("add", ".."), "is no name"),
        (("invite", "nobody"), "no user 'nobody'"),
        (("role", "nobody", "owner"), "no user 'nobody'"),
        (("remove", "nobody"), "no user 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(studio, words, why):
    code, told = command(studio, *words)
    assert (code, why in told) == (2, True)


def test_who_is_added_again_is_back_with_what_they_said(people):
    olga, accounts = people.client("olga", "owner"), people.studio.accounts
    first = olga.post("/api/v1/users", json={"name": "ann", "password": "correct horse battery"}).json()
    assert first["back"] is False
    number = accounts.named("ann").id
    assert olga.delete("/api/v1/users/ann").status_code == 200
    assert people.stranger().post("/api/v1/session", json={"invite": first["invite"]}).status_code == 401
    told = olga.post("/api/v1/users", json={"name": "ann", "role": "reviewer"})
    assert (told.status_code, told.json()["back"], told.json()["role"]) == (201, True, "reviewer")
    assert accounts.named("ann").id == number
    assert accounts.check_password("ann", "correct horse battery") is None
    assert people.stranger().post("/api/v1/session", json={"invite": told.json()["invite"]}).status_code == 200
    assert "already" in olga.post("/api/v1/users", json={"name": "ann"}).json()["error"]
    accounts.remove("ann")
    assert "is back" in command(people.studio, "add", "ann")[1]


def test_a_start_ends_the_invitations_of_earlier_starts(studio, capsys):
    def start() -> str:
        _greet(studio)
        return capsys.readouterr().out.split("#")[1].strip()

    first = start()
    given = studio.accounts.issue(studio.accounts.named("owner"), "invite", "invitation")
    second = start()
    assert studio.accounts.redeem(first) is None
    assert studio.accounts.redeem(given).name == "owner"
    assert studio.accounts.redeem(second).name == "owner"
