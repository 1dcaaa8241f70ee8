"""Lines of JSON. Python's `splitlines` also cuts at letters such as U+2028, which JSON may hold as they are."""

from pathlib import Path


def lines_of(path: Path, errors: str = "strict") -> list[str]:
    """The lines of a file, without their ends.

    Args:
        path: of UTF-8.
        errors: what is done with bytes that are none, as `bytes.decode` takes it.
    """
    return lines_in(path.read_bytes().decode("utf-8", errors))


def lines_in(text: str) -> list[str]:
    """The lines of a text, without their ends: a line feed, or a carriage return and one."""
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


class Lines:
    """Lines out of bytes that come in pieces.

    Args:
        errors: what is done with bytes that are no UTF-8, as `bytes.decode` takes it.
    """

    def __init__(self, errors: str = "strict") -> None:
        self._begun, self._errors = b"", errors

    def add(self, piece: bytes) -> list[str]:
        """The lines that are whole with one more piece.

        Raises:
            UnicodeDecodeError: if one is no UTF-8.
        """
        *whole, self._begun = (self._begun + piece).split(b"\n")
        return [line.decode("utf-8", self._errors).removesuffix("\r") for line in whole]

    def rest(self) -> list[str]:
        """The last line, if no line feed ended it.

        Raises:
            UnicodeDecodeError: if it is no UTF-8.
        """
        begun, self._begun = self._begun, b""
        return [begun.decode("utf-8", self._errors).removesuffix("\r")] if begun else []
