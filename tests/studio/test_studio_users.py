"""`harken studio user ...` while a studio is at work on the same store."""

import pytest
from typer.testing import CliRunner

from harken.cli.studio import user
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
