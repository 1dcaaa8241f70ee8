"""Drawings that can stand within a page: no scripts, nothing fetched, no clash with what stands beside them."""

import hashlib
import re
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"
FORBIDDEN = frozenset({"script", "foreignObject", "style", "iframe", "image", "a", "animate", "set"})


def tidy(svg: str, title: str) -> str:
    """A drawing as matplotlib writes it, made fit for a page.

    Metadata and global style rules go, ids get a prefix from the content (two drawings on one page would share
    them), text takes the reader's own font, and the title becomes the drawing's name for screen readers.
    """
    root = ElementTree.fromstring(svg)
    mark = hashlib.sha256((title + svg).encode()).hexdigest()[:8]
    for parent in list(root.iter()):
        for child in list(parent):
            if local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = local(element.tag)
        element.attrib = {local(name): renamed(local(name), value, mark) for name, value in element.attrib.items()}
    view = root.attrib["viewBox"]
    root.attrib = {"xmlns": SVG, "viewBox": view, "role": "img", "aria-labelledby": f"{mark}-title"}
    root.set("stroke-linejoin", "round")
    named = ElementTree.Element("title", {"id": f"{mark}-title"})
    named.text = title
    root.insert(0, named)
    return ElementTree.tostring(root, encoding="unicode")


def renamed(name: str, value: str, mark: str) -> str:
    """One attribute's value with the drawing's own ids and the reader's font."""
    if name == "id":
        return f"{mark}-{value}"
    if name == "href":
        return value.replace("#", f"#{mark}-", 1)
    if name == "style":
        value = re.sub(r"font-family: [^;]+", f"font-family: {FONT}", value)
    return value.replace("url(#", f"url(#{mark}-")


def check_svg(svg: str) -> str:
    """The drawing itself, if a page may hold it as it is.

    Raises:
        ValueError: not an SVG, or one with scripts, event handlers, style rules or references outside itself.
    """
    if "<!" in svg or "<?" in svg:
        raise ValueError("an SVG for a page has no declarations: draw it with harken.evaluate.plots")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"not an SVG ({error}): draw it with harken.evaluate.plots") from error
    if root.tag != f"{{{SVG}}}svg":
        raise ValueError(f"not an SVG: its root is {root.tag!r}")
    for element in root.iter():
        if local(element.tag) in FORBIDDEN:
            raise ValueError(f"an SVG for a page may not hold <{local(element.tag)}>")
        for name, value in element.attrib.items():
            outside = local(name) == "href" and not value.startswith("#")
            fetched = any(not part.startswith("#") for part in value.lower().split("url(")[1:])
            if local(name).lower().startswith("on") or outside or fetched:
                raise ValueError(f"an SVG for a page may not hold {local(name)}={value[:40]!r}")
    return svg


def local(name: str) -> str:
    """A name without its namespace."""
    return name.rsplit("}", 1)[-1]
