"""A request that is refused, as OpenAI's API says it."""

from harken.types import JSON

KINDS = {401: "authentication_error", 404: "not_found_error", 500: "server_error", 503: "overloaded_error"}


class Refusal(Exception):
    """What is wrong with a request and how to mend it.

    Args:
        message: in words.
        param: the field that is wrong.
        code: what a program can tell it by.
        status: of HTTP.
        headers: that the answer bears besides.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status
        self.headers = headers or {}

    def body(self) -> dict[str, JSON]:
        """`{"error": {...}}`."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
