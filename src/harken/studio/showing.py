"""A turn as a page sees it: nothing in it names a model, and media are addresses with their sizes."""

from typing import Any

from markdown_it import MarkdownIt

from harken.feedback.desk.desk import Turn
from harken.feedback.desk.settings import ProjectSettings
from harken.studio.state import Studio
from harken.types import Message, Part, Text

MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False}).disable(
    ["image", "link", "autolink", "html_inline"]
)


def task_of(studio: Studio, turn: Turn) -> dict[str, Any]:
    """What is asked."""
    item = studio.desk.items[turn.item]
    settings = studio.desk.settings(item.project)
    found = studio.completions(item.completions)
    shown = studio.shuffled(item, turn.annotator)
    return {
        "key": turn.key,
        "form": item.form,
        "prompt": [_message(studio, message) for message in studio.prompt(item.prompt_id).messages],
        "candidates": [
            {"id": studio.hidden(turn.key, name), **_words(found[name].text, settings.markdown)} for name in shown
        ],
        **_asked(item.form, settings, len(shown)),
    }


def _words(text: str, markdown: bool) -> dict[str, str]:
    # Raw HTML is shown as text, and pictures and links of a stranger's making lead nowhere.
    return {"text": text, "html": MARKDOWN.render(text)} if markdown else {"text": text}


def _asked(form: str, settings: ProjectSettings, shown: int) -> dict[str, Any]:
    out: dict[str, Any] = {"question": settings.question, "markdown": settings.markdown}
    if form == "comparison":
        out["strength"] = settings.strength
    if form == "ranking":
        out["top_k"] = None if settings.top_k is None else min(settings.top_k, shown)
    if form == "rating":
        out["criteria"] = [{"name": c.name, "label": c.label or c.name, "levels": c.levels} for c in settings.criteria]
    return out


def _message(studio: Studio, message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [part_of(studio, part) for part in message.parts]}


def part_of(studio: Studio, part: Part) -> dict[str, Any]:
    """A part with what a page must know to reserve its room."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return studio.media.part_of(part)
