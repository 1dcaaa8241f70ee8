"""Where a studio keeps things, and whom it listens to."""

import re
from dataclasses import dataclass
from pathlib import Path

HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(?::([0-9]{1,5}))?")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class StudioConfig:
    """A studio.

    Attributes:
        folder: media, and the database where none is named.
        database: a path or a URL; `feedback.db` in the folder if empty.
        host: the address that it listens on.
        port: there; 0 for any that is free.
        names: host names that requests may name besides the address, such as `studio.example.org`.
        secure: whether browsers reach it by https (behind a proxy): cookies are then sent over https alone.
        remote: whether media may be fetched from addresses that programs name.
        private: whether webhooks, and what is fetched, may reach addresses that are not public.
        endpoints: OpenAI-compatible servers that the chat page may talk to, each an address, and after a space the
            environment variable that holds its key, where it takes one.
    """

    folder: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8400
    names: tuple[str, ...] = ()
    secure: bool = False
    remote: bool = False
    private: bool = False
    endpoints: tuple[str, ...] = ()

    @property
    def runs(self) -> Path:
        """Where the runs lie that the dashboard shows: beside the studio's own folder."""
        return self.folder.parent

    @property
    def place(self) -> str:
        """The database."""
        return self.database or str(self.folder / "feedback.db")

    def allows(self, host: str) -> bool:
        """Whether a request may name this host (with or without a port)."""
        found = HOST.fullmatch(host)
        if found is None:
            return False
        name, port = found[1].lower(), found[2]
        if self.port and port and port != str(self.port) and not self.secure:
            return False
        plain = self.host.strip("[]").lower()
        shown = f"[{plain}]" if ":" in plain else plain
        own = LOOPBACK if plain in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::") else (shown,)
        return name in {*own, *(n.lower() for n in self.names)}
