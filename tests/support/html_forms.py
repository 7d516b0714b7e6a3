"""A page as a person reads it: its text, and its forms by the labels of their fields and the text of their button."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from aiohttp import FormData

VOID = {"input", "meta", "link", "br", "hr", "img"}


@dataclass
class Control:
    """One field of a form. `on`: a browser would send it."""

    tag: str
    kind: str
    name: str
    id: str | None
    value: str
    on: bool
    label: str = ""
    options: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """Reads HTML; fails where a tag is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self._forms: list[tuple[list[Control], list[str]]] = []
        self._labels: dict[str, str] = {}
        self._open: list[tuple[str, dict[str, str | None], int]] = []
        self._option = ""
        self.feed(html)
        self.text = " ".join(self.text.split())
        for control in (c for controls, _ in self._forms for c in controls):
            control.label = " ".join((control.label or self._labels.get(control.id or "", "")).split())

    @property
    def buttons(self) -> list[str]:
        """What can be pressed."""
        return ["".join(words) for _, words in self._forms]

    def labels(self, button: str = "Submit") -> list[str]:
        """The labels of the fields that `button` sends."""
        return [c.label for c in self._form(button) if c.label]

    def value(self, label: str, button: str = "Submit") -> str:
        """What stands in the field with this label."""
        return self._find(label, button).value

    def checked(self, label: str, button: str = "Submit") -> bool:
        """Whether the box or radio button with this label is on."""
        return self._find(label, button).on

    def press(self, button: str = "Submit", **filled: str | bool) -> FormData:
        """What a browser sends once the fields with these labels (`_` is a blank) were filled in or ticked."""
        for label, value in filled.items():
            control = self._find(label.replace("_", " "), button)
            if control.kind == "radio":
                for other in self._form(button):
                    other.on = other.on and other.name != control.name
            if isinstance(value, bool):
                control.on = value
            else:
                control.value = control.options[value] if control.tag == "select" else value
        sent = [(c.name, c.value.replace("\n", "\r\n")) for c in self._form(button) if c.name and c.on]
        return FormData(sent)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a form, a field, an option or whatever else may hold text."""
        given = dict(attrs)
        if tag == "form":
            self._forms.append(([], []))
        elif tag in {"input", "textarea", "select"}:
            kind = given.get("type") or tag
            on = kind not in {"radio", "checkbox"} or "checked" in given
            name, value = given.get("name") or "", given.get("value") or ""
            self._fields.append(Control(tag, kind, name, given.get("id"), value, on))
        elif tag == "option":
            self._option = given.get("value") or ""
            if "selected" in given or not self._fields[-1].options:
                self._fields[-1].value = self._option
        if tag not in VOID:
            self._open.append((tag, given, len(self._fields)))

    def handle_endtag(self, tag: str) -> None:
        """End it; a label without `for` names what stands in it."""
        opened, given, before = self._open.pop()
        assert opened == tag, f"<{opened}> ends with </{tag}>"
        if tag == "label" and "for" not in given:
            self._fields[before].label = self._labels.pop("")
        if tag in {"dt", "dd", "th", "td"}:
            self.text += " "
        if tag == "textarea":
            self._fields[-1].value = self._fields[-1].value.removeprefix("\n")

    def handle_data(self, data: str) -> None:
        """Text, of the page and of the label, button, field or option that it stands in."""
        self.text += data
        for tag, given, _ in self._open:
            if tag == "label":
                key = given.get("for") or ""
                self._labels[key] = self._labels.get(key, "") + data
            elif tag == "button":
                self._forms[-1][1].append(data.strip())
            elif tag == "textarea":
                self._fields[-1].value += data
            elif tag == "option":
                self._fields[-1].options[data.strip()] = self._option

    @property
    def _fields(self) -> list[Control]:
        return self._forms[-1][0] if self._forms else []

    def _form(self, button: str) -> list[Control]:
        [controls] = [controls for controls, words in self._forms if "".join(words) == button]
        return controls

    def _find(self, label: str, button: str) -> Control:
        [control] = [c for c in self._form(button) if c.label == label]
        return control
