"""Files that are whole or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole(path: Path, flush: bool = True) -> Iterator[BinaryIO]:
    """A file to write into, which takes its name once all was written; what had the name before is replaced then.

    Args:
        path: in a folder that is there.
        flush: have it on the disk before it takes its name.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    # Opened by hand and not by tempfile, whose files nobody but their owner may read.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            yield file
            if flush:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
