"""How a model is served, and who may ask it."""

import ipaddress
from dataclasses import dataclass

from harken.data.bounds import at_least

SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServeConfig:
    """A server's settings.

    Attributes:
        host: the address that is listened on; beyond this machine only with a token.
        port: 0 for any that is free.
        token: what every request must bear (`Authorization: Bearer ...`); empty for none.
        name: what the model is called; empty for the name of its folder.
        max_tokens: the longest answer where a request does not say.
        longest: the longest answer that a request may ask for, in tokens.
        most: the most answers (`n`) that a request may ask for.
        at_once: requests that are answered at a time, a token of each in turn.
        waiting: requests that may wait for their turn besides; more are told to come again.
        body_mib: the largest request, in MiB, media included (base64 makes them a third larger).
        seconds: in which a request's body must have arrived.
        allowed_hosts: further names by which a server on this machine may be called, where a proxy stands before it.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    name: str = ""
    max_tokens: int = 512
    longest: int = 4096
    most: int = 16
    at_once: int = 4
    waiting: int = 16
    body_mib: int = 64
    seconds: float = 60.0
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least(self, "serve", port=0, max_tokens=1, longest=1, most=1, at_once=1, waiting=0, body_mib=1, seconds=0.1)
        if self.max_tokens > self.longest:
            raise ValueError(f"serve.max_tokens is at most serve.longest, {self.longest}, not {self.max_tokens}")
        if self.token and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii() or " " in self.token):
            raise ValueError(f"a token has at least {SHORTEST_TOKEN} ASCII letters and no spaces: openssl rand -hex 24")
        if not self.local and not self.token:
            raise ValueError(
                f"serve.host={self.host} can be reached from other machines, so a token is needed: --token @FILE with "
                "a secret in the file (openssl rand -hex 24); or listen on 127.0.0.1"
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
