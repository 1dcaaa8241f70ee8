"""What one studio holds: the store, the desk, the writer, accounts, media."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import select

from harken.data.blobs import Blobs
from harken.feedback.desk.desk import Desk, Item
from harken.feedback.desk.keeping import Project, load_desk, read_items, write_said
from harken.feedback.desk.owning import Owned, own_desk
from harken.feedback.group_commit import GroupCommit, Work
from harken.feedback.intake import Known, read_completions
from harken.feedback.records import prompt_from_json
from harken.feedback.schema import completions, prompts
from harken.feedback.store import FeedbackStore
from harken.studio.accounts import Accounts
from harken.studio.config import StudioConfig
from harken.studio.media import Media
from harken.studio.taking import UPLOADS, Taking
from harken.types import Completion, Prompt

REMEMBERED = 4096
"""Prompts, and as many completions, that are kept in memory; rows of the store never change."""


@dataclass
class Studio:
    """A studio at work. Its desk is touched by the event loop's thread alone.

    Attributes:
        config: where and for whom.
        store: what people said.
        blobs: media.
        accounts: users and passes.
        writer: all writing of answers and turns goes through it.
        desk: whose turn it is.
        projects: by slug.
        owned: the right to the desk.
        listeners: told of what happened, such as webhooks: an event's name and its data.
    """

    config: StudioConfig
    store: FeedbackStore
    blobs: Blobs
    accounts: Accounts
    writer: GroupCommit
    desk: Desk
    projects: dict[str, Project]
    owned: Owned
    listeners: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = Known()
        self._prompts: dict[str, Prompt] = {}
        # One object, so that those who wait can be written together.
        self.write_said = partial(write_said, known=self.known)
        self.media = Media(self.blobs)
        self.taking = Taking(self.blobs)

    async def write(self, work: Work, request: Any) -> Any:
        """Have something written; returns when it is on the disk."""
        return await asyncio.wrap_future(self.writer.submit(work, request))

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Tell who listens."""
        for listener in self.listeners:
            listener(event, data)

    def refresh(self, project: Project) -> None:
        """Take a project, new or changed, and items that were added, onto the desk."""
        self.projects[project.slug] = project
        self.desk.set_project(project.id, project.settings)
        self.desk.add_items(self._new_items())

    def _new_items(self) -> list[Item]:
        with self.store.reading() as connection:
            known = max(self.desk.items, default=0)
            return [item for item in read_items(connection, known) if self.desk.has_project(item.project)]

    def hidden(self, turn: str, name: str) -> str:
        """A completion's name on a page: says nothing of it, and is another one in every turn."""
        return hmac.new(self.accounts.secret, f"{turn}\x1f{name}".encode(), hashlib.sha256).hexdigest()[:16]

    def shuffled(self, item: Item, annotator: str) -> tuple[str, ...]:
        """The completions in the order in which somebody sees them: by a seed of annotator and item."""
        return tuple(sorted(item.completions, key=lambda n: self.hidden(f"{annotator}\x1f{item.id}", n)))

    def warm(self, found: Sequence[Item]) -> None:
        """Read what some items show, all at once; it is then remembered, since rows of the store never change."""
        asked = {item.prompt_id for item in found} - self._prompts.keys()
        named = {name for item in found for name in item.completions} - self.known.completions.keys()
        if not asked and not named:
            return
        _make_room(self._prompts, len(asked))
        _make_room(self.known.completions, len(named))
        with self.store.reading() as connection:
            for row in connection.execute(select(prompts.c.id, prompts.c.content).where(prompts.c.id.in_(asked))):
                self._prompts[row.id] = prompt_from_json(row.content)
            for one in read_completions(connection, select(completions).where(completions.c.id.in_(named))):
                self.known.completions[one.id] = one

    def prompt(self, name: str) -> Prompt:
        """A prompt by its id."""
        found = self._prompts.get(name)
        if found is None:
            with self.store.reading() as connection:
                row = connection.execute(select(prompts.c.content).where(prompts.c.id == name)).scalar_one()
            found = prompt_from_json(row)
            _make_room(self._prompts, 1)
            self._prompts[name] = found
        return found

    def completions(self, names: Sequence[str]) -> dict[str, Completion]:
        """Completions by their ids."""
        held = {n: one for n in names if (one := self.known.completions.get(n)) is not None}
        if missing := [name for name in names if name not in held]:
            with self.store.reading() as connection:
                query = select(completions).where(completions.c.id.in_(missing))
                held |= {one.id: one for one in read_completions(connection, query)}
        return held

    def close(self) -> None:
        """Write what waits, and let go."""
        self.writer.close()
        self.store.close()
        self.owned.close()


def _make_room(held: MutableMapping[str, Any], wanted: int) -> None:
    """Let go of those that came first, until there is room."""
    for name in list(islice(held, max(0, len(held) + wanted - REMEMBERED))):
        held.pop(name, None)


def open_studio(config: StudioConfig) -> Studio:
    """Open, or begin, a studio.

    Raises:
        StoreError: if the database cannot be opened, or another studio is at work on it.
    """
    config.folder.mkdir(parents=True, exist_ok=True)
    store = FeedbackStore(config.place)
    try:
        owned = own_desk(store.engine)
    except BaseException:
        store.close()
        raise
    with store.reading() as connection:
        desk, projects = load_desk(connection)
    accounts, writer = Accounts(store.engine), GroupCommit(owned.engine)
    return Studio(config, store, Blobs(config.folder / "blobs", UPLOADS), accounts, writer, desk, projects, owned)


@contextmanager
def open_accounts(config: StudioConfig) -> Iterator[Accounts]:
    """The accounts alone, also while a studio is at work on them.

    Raises:
        StoreError: if the database cannot be opened.
    """
    with FeedbackStore(config.place) as store:
        yield Accounts(store.engine)
