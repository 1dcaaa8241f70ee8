"""What one studio holds: the store, the desk, the writer, accounts, media."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from harken.data.blobs import Blobs
from harken.feedback.desk.desk import Desk, Item
from harken.feedback.desk.keeping import Project, load_desk, read_items
from harken.feedback.desk.owning import Owned, own_desk
from harken.feedback.group_commit import GroupCommit, Work
from harken.feedback.records import prompt_from_json
from harken.feedback.schema import completions, prompts
from harken.feedback.store import FeedbackStore
from harken.studio.accounts import Accounts
from harken.studio.config import StudioConfig
from harken.studio.media import Media
from harken.studio.taking import UPLOADS, Taking
from harken.types import Completion, Prompt

REMEMBERED = 4096
"""Prompts and sets of completions that are kept in memory; rows of the store never change."""


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
        self.prompt = lru_cache(REMEMBERED)(self._prompt)
        self.completions = lru_cache(REMEMBERED)(self._completions)
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

    def _prompt(self, name: str) -> Prompt:
        with self.store.reading() as connection:
            return prompt_from_json(
                connection.execute(select(prompts.c.content).where(prompts.c.id == name)).scalar_one()
            )

    def _completions(self, names: tuple[str, ...]) -> dict[str, Completion]:
        with self.store.reading() as connection:
            rows = connection.execute(select(completions).where(completions.c.id.in_(names)))
            return {r.id: Completion(r.id, r.prompt_id, r.text, r.policy, bool(r.finished)) for r in rows}

    def close(self) -> None:
        """Write what waits, and let go."""
        self.writer.close()
        self.store.close()
        self.owned.close()


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


def choices_of(studio: Studio, item: Item) -> Sequence[Completion]:
    """The completions of an item, in the store's words."""
    found = studio.completions(item.completions)
    return [found[name] for name in item.completions]
