"""How an element is shown: what its attributes, rules and styles say, and what it inherits."""

from __future__ import annotations

from mailward.message import style
from mailward.message.model import Hidden

_WHITE = 0xFFFFFF
_CACHED = 2_000  # looks remembered of one document

Attributes = dict[str, str | None]


class Look:
    """What descendants inherit; `reason` says why text here is not seen, None if it is. Never changed once made."""

    __slots__ = ("background", "colour", "hidden", "reason", "tiny")

    def __init__(self, hidden: Hidden | None = None, tiny: bool = False, colour: int | None = None, background: int = _WHITE) -> None:
        self.hidden = hidden
        self.tiny = tiny
        self.colour = colour
        self.background = background
        self.reason = hidden
        if hidden is None:
            if tiny:
                self.reason = Hidden.TINY
            elif colour is not None and background >= 0 and style.near(colour, background):
                self.reason = Hidden.COLOUR


class Looks:
    """The looks of one document. `rules` are those of its <style> blocks so far."""

    def __init__(self) -> None:
        self.rules: dict[str, style.Style] = {}
        self._known: dict[tuple[Look, str, str | None, str | None, str | None], Look] = {}

    def learn(self, sheet: str) -> None:
        if len(self.rules) < style.RULES:
            self.rules.update(style.sheet(sheet))
            self._known.clear()

    def source(self, look: Look) -> Look:
        """The look inside elements that are never shown."""
        return Look(look.hidden or Hidden.SOURCE, look.tiny, look.colour, look.background)

    def of(self, tag: str, attributes: Attributes, outer: Look) -> Look:
        """The look of an element inside `outer`."""
        if tag == "font" or tag == "body" or not _RARE.isdisjoint(attributes):
            return self._make(tag, attributes, outer)
        if self.rules:
            key = (outer, tag, attributes.get("style"), attributes.get("class"), attributes.get("id"))
        else:
            text = attributes.get("style")
            if not text and tag != "a":
                return outer
            key = (outer, "a" if tag == "a" else "", text, None, None)
        look = self._known.get(key)
        if look is None:
            look = self._make(tag, attributes, outer)
            if len(self._known) < _CACHED:
                self._known[key] = look
        return look

    def _make(self, tag: str, attributes: Attributes, outer: Look) -> Look:
        said = self._said(tag, attributes)
        hidden, tiny, background = outer.hidden, outer.tiny, outer.background
        colour = None if tag == "a" else outer.colour  # links have a colour of their own
        if not said and colour == outer.colour:
            return outer
        for one in said:
            hidden = hidden or one.hidden
            tiny = tiny if one.tiny is None else one.tiny
            colour = colour if one.colour is None else one.colour
            background = background if one.background is None else one.background
        return Look(hidden, tiny, colour, background)

    def _said(self, tag: str, attributes: Attributes) -> list[style.Style]:
        """What attributes, rules and the inline style say, the weakest first."""
        said: list[style.Style] = []
        if "bgcolor" in attributes or "background" in attributes:
            known = style.UNKNOWN if attributes.get("background") else style.colour(attributes.get("bgcolor") or "")
            said.append(style.Style(background=known))
        if (name := _COLOURED.get(tag)) and (value := attributes.get(name)):
            said.append(style.Style(colour=style.colour(value)))
        if self.rules:
            said += self._ruled(tag, attributes)
        if text := attributes.get("style"):
            said.append(style.inline(text))
        if "hidden" in attributes:
            said.append(style.Style(hidden=Hidden.DISPLAY))
        return said

    def _ruled(self, tag: str, attributes: Attributes) -> list[style.Style]:
        rules = self.rules
        out = [rules[tag]] if tag in rules else []
        if classes := attributes.get("class"):
            for name in classes.split()[:20]:
                out += [rules[key] for key in ("." + name, tag + "." + name) if key in rules]
        if identity := attributes.get("id"):
            out += [rules[key] for key in ("#" + identity, tag + "#" + identity) if key in rules]
        return out


_RARE = frozenset({"bgcolor", "background", "hidden"})
_COLOURED = {"font": "color", "body": "text"}
