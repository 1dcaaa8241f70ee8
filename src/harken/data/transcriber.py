"""What writes down the words of a sound, for a model that reads words and hears nothing."""

from abc import ABC, abstractmethod
from pathlib import Path

FOLDER = "speech_to_text"
"""Where it lies in the folder of the model that it writes for."""


class Transcriber(ABC):
    """Sounds to words."""

    @abstractmethod
    def words(self, sound: bytes) -> str:
        """The words of an encoded sound; empty where it hears none."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write all that it needs into a folder."""
