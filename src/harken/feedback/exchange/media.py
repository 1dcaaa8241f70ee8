"""Media that records name, into the blobs: files, members of archives, ranges of bytes in an npz."""

from collections.abc import Mapping
from typing import Any

from harken.data.blobs import Blobs
from harken.data.media.limits import MediaError
from harken.feedback.exchange.folder import Folder, refuse_leaving
from harken.feedback.exchange.mapping import Medium
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.templates import RecordError, fill, number
from harken.types import Modality


class MediaDoor:
    """Takes each medium once, however many records name it.

    Args:
        folder: where the data lie.
        blobs: where the media go.
    """

    def __init__(self, folder: Folder, blobs: Blobs):
        self._folder = folder
        self._blobs = blobs
        self._taken: dict[tuple[str, ...], str] = {}

    def take(self, given: str | Medium, fields: Mapping[str, Any], modality: Modality) -> str:
        """The SHA-256 of a record's medium, which is then in the blobs.

        Args:
            given: what the mapping says: a template of a path, or a medium.
            fields: the record's.
            modality: what it must be.

        Raises:
            RecordError: if it is not there, lies outside of the folder, or is no good medium.
        """
        medium = Medium(file=given) if isinstance(given, str) else given
        names = (medium.file, medium.zip, medium.npz, medium.row if medium.npz else None)
        filled = tuple("" if name is None else fill(name, fields) for name in names)
        key = (modality, medium.data, medium.offsets, *filled)
        if key not in self._taken:
            try:
                self._taken[key] = self._put(medium, filled, modality)
            except (MediaError, DataError) as error:
                raise RecordError(modality, str(error)) from error
        return self._taken[key]

    def _put(self, medium: Medium, filled: tuple[str, ...], modality: Modality) -> str:
        file, archives, npz, row = filled
        if medium.npz is not None:
            place = number(row, "row")
            if not place.is_integer():
                raise MediaError(f"the row is a whole number, not {row}")
            data = self._folder.byte_range(npz, int(place), medium.data, medium.offsets)
            return self._blobs.put(data, modality)
        if medium.zip is not None:
            most = self._blobs.limits.bytes_of(modality)
            try:
                return self._blobs.put(self._folder.member(file, archives, most), modality)
            except MediaError as error:
                raise MediaError(f"{file!r}: {error}") from error
        if file[:5].lower() != "data:":
            refuse_leaving(file)
        return self._blobs.put_reference(file, self._folder.root, modality)
