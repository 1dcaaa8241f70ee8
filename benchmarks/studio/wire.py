"""HTTP/1.1 over one kept connection, as light as can be: what is measured is the server."""

import asyncio
import json
from typing import Any


class Wire:
    """One browser's connection.

    Args:
        port: of the studio on 127.0.0.1.
        token: shown with every request.
    """

    def __init__(self, port: int, token: str):
        self._port = port
        self._head = f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        """A request and its answer, read as JSON.

        Raises:
            ConnectionError: if the server went away.
            ValueError: if it refuses.
        """
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._head}content-length: {len(data)}\r\n"
        kind = "content-type: application/json\r\n" if data else ""
        self._writer.write(f"{head}{kind}\r\n".encode() + data)
        try:
            top = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            size = next(int(line[15:]) for line in top if line.lower().startswith("content-length:"))
            answer = await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as gone:
            self.close()
            raise ConnectionError("the studio went away") from gone
        status = int(top[0].split()[1])
        if status >= 400:
            raise ValueError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer)

    def close(self) -> None:
        """Let go."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
