"""Who may do what: users with roles, and passes (sessions, invitations, tokens) of which only digests are kept."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Engine, delete, insert, select, update

from harken.feedback.database import StoreError
from harken.feedback.schema import install, passes, users

Role = Literal["annotator", "reviewer", "owner"]
Scope = Literal["answer", "read", "write", "admin"]
Kind = Literal["session", "invite", "token"]
SCOPES: dict[str, frozenset[str]] = {
    "annotator": frozenset({"answer"}),
    "reviewer": frozenset({"answer", "read"}),
    "owner": frozenset(get_args(Scope)),
}
DAY = 86_400.0
LASTS: dict[str, float | None] = {"session": 30 * DAY, "invite": 7 * DAY, "token": None}
SHORTEST = 10
"""Letters of a password."""
LONGEST = 64
"""Letters of a name."""
COST = {"n": 1 << 14, "r": 8, "p": 1}
"""Of scrypt: 16 MiB and some 50 ms."""
SETTLED = 2.0
"""Seconds after which a pass that was looked up is looked up again: so long another process's change is not seen."""


@dataclass(frozen=True)
class User:
    """Somebody with an account; the name is the annotator's id."""

    id: int
    name: str
    role: Role
    settings: dict[str, Any]


@dataclass(frozen=True)
class Visitor:
    """Who makes a request, and what they may do.

    Attributes:
        user: who.
        scopes: what.
        digest: of the pass that they showed.
        kind: session or token.
    """

    user: User
    scopes: frozenset[str]
    digest: str
    kind: Kind


class Accounts:
    """Users and passes.

    Args:
        engine: of the store's database.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._seen: dict[str, tuple[float, Visitor]] = {}
        self.secret = self._own_secret()

    def _own_secret(self) -> bytes:
        """This installation's secret, made at its first start."""
        with self._writer.begin() as connection:
            found = connection.scalar(select(install.c.value).where(install.c.name == "secret"))
            if found is None:
                found = secrets.token_hex(32)
                connection.execute(insert(install), {"name": "secret", "value": found})
        return bytes.fromhex(found)

    def add(self, name: str, role: Role, password: str | None = None) -> User:
        """A new user, or one who was removed and is back, with what they said.

        Raises:
            StoreError: if the name is taken or none, the role is none, or the password is too short.
        """
        check_name(name)
        if role not in get_args(Role):
            raise StoreError(f"there is no role {role!r}; there are {', '.join(get_args(Role))}")
        row: dict[str, Any] = {
            "role": role,
            "password": None if password is None else hash_password(password),
            "active": True,
        }
        with self._writer.begin() as connection:
            before = connection.execute(select(users).where(users.c.name == name)).one_or_none()
            if before is not None and before.active:
                raise StoreError(f"there is a user {name!r} already; choose another name")
            if before is not None:
                connection.execute(update(users).where(users.c.id == before.id).values(**row))
            else:
                new = {"name": name, "settings": {}, "created_at": datetime.now(UTC)}
                connection.execute(insert(users), {**row, **new})
        return self.named(name)

    def was_removed(self, name: str) -> bool:
        """Whether somebody of this name had an account; adding them again brings them back."""
        with self._engine.connect() as connection:
            return connection.scalar(select(users.c.active).where(users.c.name == name)) is False

    def named(self, name: str) -> User:
        """A user by name.

        Raises:
            StoreError: if there is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(users).where(users.c.name == name, users.c.active)).one_or_none()
        if row is None:
            raise StoreError(f"there is no user {name!r}; `harken studio user list` names them")
        return _user(row)

    def all(self) -> list[User]:
        """Active users, by name."""
        with self._engine.connect() as connection:
            return [_user(r) for r in connection.execute(select(users).where(users.c.active).order_by(users.c.name))]

    def change(
        self,
        name: str,
        role: Role | None = None,
        password: str | None = None,
        settings: dict[str, Any] | None = None,
        here: str = "",
    ) -> User:
        """Another role, password or settings. A new password ends the user's sessions.

        Args:
            name: whose.
            role: another one.
            password: another one.
            settings: other ones.
            here: the digest of the session that stays.

        Raises:
            StoreError: if there is no such user, or the last owner would be gone.
        """
        values: dict[str, Any] = {}
        if role is not None:
            if role not in get_args(Role):
                raise StoreError(f"there is no role {role!r}; there are {', '.join(get_args(Role))}")
            if role != "owner":
                self._keep_an_owner(name)
            values["role"] = role
        if password is not None:
            values["password"] = hash_password(password)
        if settings is not None:
            values["settings"] = settings
        user = self.named(name)
        if values:
            with self._writer.begin() as connection:
                connection.execute(update(users).where(users.c.id == user.id).values(**values))
                if password is not None:
                    mine = (passes.c.user == user.id) & (passes.c.kind == "session")
                    connection.execute(delete(passes).where(mine, passes.c.digest != here))
        self._seen.clear()
        return self.named(name)

    def remove(self, name: str) -> None:
        """End an account: nobody enters by it any more. Answers stay.

        Raises:
            StoreError: if there is no such user, or it is the last owner.
        """
        self._keep_an_owner(name)
        user = self.named(name)
        with self._writer.begin() as connection:
            connection.execute(delete(passes).where(passes.c.user == user.id))
            connection.execute(update(users).where(users.c.id == user.id).values(active=False, password=None))
        self._seen.clear()

    def _keep_an_owner(self, name: str) -> None:
        owners = [user.name for user in self.all() if user.role == "owner"]
        if owners == [name]:
            raise StoreError(f"{name!r} is the only owner; make another user an owner first")

    def has_password(self, user: User) -> bool:
        """Whether somebody can enter by a password."""
        with self._engine.connect() as connection:
            return connection.scalar(select(users.c.password).where(users.c.id == user.id)) is not None

    def check_password(self, name: str, password: str) -> User | None:
        """The user whose name and password these are."""
        with self._engine.connect() as connection:
            row = connection.execute(select(users).where(users.c.name == name, users.c.active)).one_or_none()
        # A name that is not there takes as long as one that is.
        held = row.password if row is not None and row.password else hash_password("no such user", check=False)
        right = verify_password(password, held)
        return _user(row) if row is not None and row.password and right else None

    def issue(self, user: User, kind: Kind, label: str, scopes: Sequence[str] = (), lasts: float | None = None) -> str:
        """A new pass; it is shown this once, and only its digest is kept.

        Args:
            user: whose.
            kind: `session` of a browser, `invite` for entering once, `token` for a program.
            label: what people call it.
            scopes: of a token; none for all that the user may do.
            lasts: seconds; the kind's own if None.

        Raises:
            StoreError: if a scope is more than the user has.
        """
        beyond = set(scopes) - SCOPES[user.role]
        if beyond:
            raise StoreError(f"{user.name!r} is {user.role} and cannot give {', '.join(sorted(beyond))}")
        shown = f"hk_{kind[0]}_{secrets.token_urlsafe(32)}"
        lasting = LASTS[kind] if lasts is None else lasts
        row = {
            "digest": digest_of(shown),
            "kind": kind,
            "label": label[:255],
            "user": user.id,
            "scopes": sorted(scopes),
            "until": None if lasting is None else time.time() + lasting,
            "created_at": datetime.now(UTC),
        }
        with self._writer.begin() as connection:
            connection.execute(insert(passes), row)
        return shown

    def end_invites(self, user: User, label: str) -> None:
        """End a user's unused invitations that are called so."""
        mine = (passes.c.user == user.id) & (passes.c.kind == "invite") & (passes.c.label == label)
        with self._writer.begin() as connection:
            connection.execute(delete(passes).where(mine))

    def redeem(self, invite: str) -> User | None:
        """Whose invitation this is; it is then used up."""
        digest = digest_of(invite)
        with self._writer.begin() as connection:
            row = connection.execute(select(passes).where(passes.c.digest == digest)).one_or_none()
            if row is None or row.kind != "invite" or (row.until is not None and row.until < time.time()):
                return None
            connection.execute(delete(passes).where(passes.c.digest == digest))
            user = connection.execute(select(users).where(users.c.id == row.user, users.c.active)).one_or_none()
        return None if user is None else _user(user)

    def visitor(self, shown: str) -> Visitor | None:
        """Who shows a session or a token."""
        digest = digest_of(shown)
        now = time.time()
        seen = self._seen.get(digest)
        if seen is not None and seen[0] > now:
            return seen[1]
        self._seen.pop(digest, None)
        query = select(passes, users.c.name, users.c.role, users.c.settings).join(users)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(passes.c.digest == digest, users.c.active)).one_or_none()
        if row is None or row.kind == "invite" or (row.until is not None and row.until < now):
            return None
        user = User(row.user, row.name, row.role, dict(row.settings))
        scopes = SCOPES[user.role] & frozenset(row.scopes) if row.scopes else SCOPES[user.role]
        found = Visitor(user, scopes, digest, row.kind)
        self._seen[digest] = (min(now + SETTLED, row.until or now + SETTLED), found)
        return found

    def passes_of(self, kind: Kind) -> list[dict[str, Any]]:
        """What is known of passes of a kind; never the passes."""
        query = select(passes, users.c.name).join(users).where(passes.c.kind == kind).order_by(passes.c.created_at)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            {"digest": r.digest, "label": r.label, "user": r.name, "scopes": r.scopes, "until": r.until} for r in rows
        ]

    def revoke(self, digest: str) -> bool:
        """End a pass; says whether there was one."""
        with self._writer.begin() as connection:
            gone = connection.execute(delete(passes).where(passes.c.digest == digest)).rowcount
        self._seen.pop(digest, None)
        return bool(gone)


def check_name(name: str) -> None:
    """Refuse what is no name.

    Raises:
        StoreError: saying why.
    """
    plain = name.isprintable() and name == name.strip() and not set(name) & set(":/\\")
    if not plain or not 1 <= len(name) <= LONGEST or name in (".", ".."):
        raise StoreError(f"{name!r} is no name: 1 to {LONGEST} letters, no colon, no slash, no space around them")


def digest_of(shown: str) -> str:
    """Under which a pass is kept."""
    return hashlib.sha256(shown.encode()).hexdigest()


def hash_password(password: str, check: bool = True) -> str:
    """A salted scrypt hash.

    Raises:
        StoreError: if it is too short.
    """
    if check and len(password) < SHORTEST:
        raise StoreError(f"a password has at least {SHORTEST} letters")
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **COST).hex()}"


def verify_password(password: str, held: str) -> bool:
    """Whether a password is the one that was hashed."""
    salt, _, wanted = held.partition("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **COST).hex()
    return hmac.compare_digest(found, wanted)


def _user(row: Any) -> User:
    return User(row.id, row.name, row.role, dict(row.settings))
