"""An OpenAI-compatible server on loopback whose opinions a test chooses."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeJudge:
    """What it says, and what it was asked.

    Attributes:
        says: the reply to a body.
        asked: (path, body, headers) of every request.
        busy: so many of the next requests are answered by 503.
        most: the most requests that were there at one time.
    """

    def __init__(self, says: Callable[[Any], Any]):
        self.says = says
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.busy = self.now = self.most = 0
        self.lock = threading.Lock()
        self.url = ""

    def texts(self, body: Any) -> list[str]:
        """The texts that a request holds after the system's, in order."""
        content = body["messages"][1]["content"]
        return [part["text"] for part in content if part["type"] == "text"]

    def answers(self, body: Any) -> list[str]:
        """The answers that a request shows, in order."""
        return [
            text.partition("\n")[2] for text in self.texts(body) if text.lower().startswith(("answer ", "the answer"))
        ]


@contextmanager
def judging(says: Callable[[Any], Any]) -> Iterator[FakeJudge]:
    """A server on a free port of loopback, stopped afterwards."""
    fake = FakeJudge(says)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with fake.lock:
                fake.asked.append((self.path, body, {k.lower(): v for k, v in self.headers.items()}))
                fake.now += 1
                fake.most = max(fake.most, fake.now)
                busy, fake.busy = fake.busy > 0, max(0, fake.busy - 1)
            said = {"error": "starting"} if busy else fake.says(body)
            if isinstance(said, str):
                said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            with fake.lock:
                fake.now -= 1
            self.send_response(503 if busy else 200)
            if data.startswith(b"data:"):
                self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
