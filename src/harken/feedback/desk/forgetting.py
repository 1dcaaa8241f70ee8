"""What the studio's tables hold of a person, for `harken.feedback.forget`: all of it goes, or is nobody's.

Turns stay, since they say how often an item was answered; their keys are drawn anew. Remarks, the account, its
sessions, and notices on their way to other programs go.
"""

import secrets

from sqlalchemy import Connection, delete, select, update

from harken.feedback.forget import Further
from harken.feedback.schema import deliveries, passes, projects, remarks, turns, users


def _turns(connection: Connection, name: str, pseudonym: str) -> int:
    mine = connection.scalars(select(turns.c.key).where(turns.c.annotator == name)).all()
    for key in mine:
        fresh = {"key": secrets.token_hex(16), "annotator": pseudonym, "tab": ""}
        connection.execute(update(turns).where(turns.c.key == key).values(**fresh))
    return len(mine)


def _remarks(connection: Connection, name: str, pseudonym: str) -> int:
    return connection.execute(delete(remarks).where(remarks.c.annotator == name)).rowcount


def _passes(connection: Connection, name: str, pseudonym: str) -> int:
    who = select(users.c.id).where(users.c.name == name)
    return connection.execute(delete(passes).where(passes.c.user.in_(who))).rowcount


def _users(connection: Connection, name: str, pseudonym: str) -> int:
    return connection.execute(delete(users).where(users.c.name == name)).rowcount


def _projects(connection: Connection, name: str, pseudonym: str) -> int:
    """Projects that name who may answer."""
    count = 0
    for row in connection.execute(select(projects)).all():
        named = row.settings.get("annotators", [])
        if name in named:
            # Left empty it would let everybody in; the pseudonym lets nobody in.
            who = [pseudonym if one == name else one for one in named]
            changed = {**row.settings, "annotators": who}
            connection.execute(update(projects).where(projects.c.id == row.id).values(settings=changed))
            count += 1
    return count


def _deliveries(connection: Connection, name: str, pseudonym: str) -> int:
    """Notices of what somebody said, told or not: any could hold the name, and they are nobody's record."""
    return connection.execute(delete(deliveries).where(deliveries.c.body.contains(name, autoescape=True))).rowcount


STUDIO = (
    Further("turns", _turns),
    Further("remarks", _remarks),
    Further("passes", _passes),
    Further("users", _users),
    Further("projects", _projects),
    Further("deliveries", _deliveries),
)
