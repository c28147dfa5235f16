"""HTML as a tree: what is put into it is text, whatever it looks like."""

import xml.etree.ElementTree as ET

from contract.printable import printable

__all__ = ["Child", "element", "rendered"]

Child = ET.Element | str | None


def element(tag: str, *children: Child, **attributes: str) -> ET.Element:
    """An element; None among its children is nothing; `class_` is the attribute class."""
    named = {
        name.rstrip("_").replace("_", "-"): printable(value) for name, value in attributes.items()
    }
    made = ET.Element(tag, named)
    for child in children:
        if isinstance(child, str):
            _append_text(made, printable(child))
        elif child is not None:
            made.append(child)
    return made


def rendered(root: ET.Element) -> str:
    """The whole document."""
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def _append_text(made: ET.Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text
