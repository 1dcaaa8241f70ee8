"""The only way out of the studio: to an address that somebody gave, checked when it is connected to.

A name is resolved here, every address of it is checked, and the connection goes to the address that was checked: a
name that answers differently the second time reaches nothing. What is sent follows no redirects; what is fetched
follows a few, each checked like the first.
"""

import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx2

SECONDS = 15.0
LONGEST = 60.0
"""Seconds for all that is fetched."""
REDIRECTS = 5
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
RELAYS = ipaddress.IPv4Network("192.0.0.0/24")


class Unreachable(OSError):
    """An address that must not, or cannot, be reached."""


@dataclass(frozen=True)
class Place:
    """An address that was checked.

    Attributes:
        url: with the number in the name's place.
        name: that was given; for the certificate and the Host header.
    """

    url: str
    name: str


def check(url: str, private: bool) -> Place:
    """Resolve an address and check it.

    Args:
        url: http or https.
        private: whether addresses that are not public are allowed.

    Raises:
        Unreachable: if it is no address, cannot be resolved, or must not be reached.
    """
    if not url.isprintable():
        raise Unreachable(f"{url[:200]!r} holds a character that cannot be seen; remove it")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Unreachable(f"{url[:200]!r} is no http or https address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Unreachable(f"{url[:200]!r} is no http or https address")
    if not parts.netloc.isascii():
        raise Unreachable(f"{parts.hostname} has letters that are not ASCII; write it as xn--...")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise Unreachable(f"{parts.hostname} cannot be found: {error}") from error
    # A scope (fe80::1%eth0) is of this machine's network, and is refused as such.
    numbers = [ipaddress.ip_address(one[4][0]) for one in found]
    for number in numbers:
        if not private and not is_public(number):
            raise Unreachable(f"{parts.hostname} is {number}, which is not a public address")
    chosen = f"[{numbers[0]}]" if numbers[0].version == 6 else str(numbers[0])
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Place(f"{parts.scheme}://{chosen}:{port}{path}", parts.netloc)


def is_public(number: Address) -> bool:
    """Whether an address is of the public network, also where it stands for another one.

    Of version 6 only what is given out to networks (2000::/3) counts: all else is this machine's, its network's, or
    another address in disguise. Of that, 6to4 and Teredo are read as what they lead to.
    """
    if isinstance(number, ipaddress.IPv4Address):
        return number.is_global and not number.is_multicast and number not in RELAYS
    if number.ipv4_mapped is not None:
        return is_public(number.ipv4_mapped)
    inner = number.sixtofour or (number.teredo[1] if number.teredo else None)
    return number in GIVEN_OUT and number.is_global and (inner is None or is_public(inner))


def post(url: str, body: bytes, headers: Mapping[str, str], private: bool) -> int:
    """Send a body; the status that came back.

    Raises:
        Unreachable: if it must not be reached, or nothing came back.
    """
    with _asked("POST", url, private, body, headers) as response:
        # What it says besides is not read: it could go on for ever.
        return int(response.status_code)


def fetch(url: str, most: int, private: bool) -> bytes:
    """What lies at an address.

    Args:
        url: http or https.
        most: bytes that it may have.
        private: whether addresses that are not public are allowed, here and in redirects.

    Raises:
        Unreachable: if it, or where it leads, must not be reached; or it is too big, too slow, or not there.
    """
    until, asked = time.monotonic() + LONGEST, url
    for _ in range(REDIRECTS + 1):
        with _asked("GET", asked, private) as response:
            if response.is_redirect:
                asked = urljoin(asked, response.headers["location"])
                continue
            if response.status_code != 200:
                raise Unreachable(f"{asked[:200]} answered {response.status_code}")
            found = bytearray()
            for piece in response.iter_bytes():
                found += piece
                if len(found) > most:
                    raise Unreachable(f"{asked[:200]} has more than {most >> 20} MiB")
                if time.monotonic() > until:
                    raise Unreachable(f"{asked[:200]} took more than {LONGEST:.0f} s")
            return bytes(found)
    raise Unreachable(f"{url[:200]} leads on more than {REDIRECTS} times")


@contextmanager
def _asked(
    method: str, url: str, private: bool, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[httpx2.Response]:
    place, name = check(url, private), urlsplit(url).hostname
    told = {**(headers or {}), "host": place.name}
    try:
        with (
            httpx2.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(method, place.url, content=body, headers=told, extensions={"sni_hostname": name}) as response,
        ):
            yield response
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Unreachable(f"{url[:200]}: {type(error).__name__}: {error}") from error
