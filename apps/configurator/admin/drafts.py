"""What an operator edits of a setting: by form or as JSON, with the problems of each field."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.accounts.adminbase.nodes import ADD, REMOVE, Group, rearrange
from apps.common.config import Group as SettingsGroup
from apps.common.config import SettingsError
from apps.common.errors import LunaError
from apps.common.refusals import sentence
from apps.configurator import platform, selectors, values
from apps.configurator.admin.forms.building import Facts, data_of, form_of, pretty
from apps.configurator.admin.pages import json_field, problems_of, words_of
from apps.configurator.api.serializers import SettingBody
from apps.configurator.choices import Kind
from apps.configurator.history import fingerprint
from apps.configurator.models import Limitation, Setting
from apps.configurator.services import SettingDraft

FORM, JSON, SAVE, RESET = "form", "json", "save", "reset"
VALUE, DESCRIPTION, TAGS = "value", "description", "tags"


@dataclass(slots=True)
class Draft:
    """Unsaved contents. `value`: of the platform's settings what differs from the defaults; else whole.

    `text`: of the JSON editor, if it is not valid JSON. `problems`, and `texts` of JSON fields, are by path.
    `seen`: the fingerprint of the stored setting. `check`: whether connections are checked before saving.
    """

    limitation: Limitation
    description: str = ""
    tags: str = ""
    value: Any = None
    mode: str = FORM
    text: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    seen: str = ""
    check: bool = False

    @property
    def group(self) -> SettingsGroup | None:
        """Return the group of the settings door, None for other software."""
        return platform.group_named(self.limitation.limitation_name) if self.limitation.platform else None

    @property
    def schema(self) -> Any:
        return selectors.facts_of(self.limitation).schema

    @property
    def default_value(self) -> Any:
        return selectors.facts_of(self.limitation).default_value

    @property
    def whole(self) -> Any:
        """Return the value with the defaults of the platform's members; an invalid value as it is."""
        if self.group is None or platform.problems(self.group, self.value):
            return self.value
        return platform.value_of(self.group, self.value)

    @property
    def to_save(self) -> SettingDraft:
        name, tags = self.limitation.limitation_name, words_of(self.tags)
        return SettingDraft(name=name, value=self.value, description=self.description, tags=tags)

    def form(self) -> Group:
        """Return the form of the value."""
        notes = {} if self.group is None else _notes(self.group)
        facts = Facts(problems=self.problems, texts=self.texts, notes=notes, named=self.group is not None)
        return form_of(self.schema, self.value, facts, name=VALUE, defaults=self.default_value)

    def editor_text(self) -> str:
        """Return the text of the JSON editor."""
        return self.text or pretty(self.whole)

    def check_all(self) -> bool:
        """Collect the problems of all fields; return whether there are none."""
        body = {"name": self.limitation.limitation_name, "value": None, DESCRIPTION: self.description}
        tags = words_of(self.tags)
        self.problems |= problems_of(SettingBody, {**body, TAGS: tags})
        if not self.texts and not self.text:
            found = self._value_problems()
            self.problems |= {f"{VALUE}.{path}" if path else VALUE: sentence(text) for path, text in found.items()}
        return not self.problems

    def _value_problems(self) -> dict[str, str]:
        if self.group is None:
            return values.problems(self.value, self.schema)
        return platform.problems(self.group, self.value)

    def act(self, action: str) -> bool:
        """Apply an action on the contents; return whether contents without a problem are to be saved."""
        verb, _colon, path = action.partition(":")
        if verb in (ADD, REMOVE) and isinstance(self.value, dict) and (steps := path.split(".")[1:]):
            rearrange(self.value, verb, steps)
        elif verb == RESET:
            self.value, self.text, self.texts, self.problems = ({} if self.group else self.default_value), "", {}, {}
        elif verb in (FORM, JSON) and not self.text and not self.texts:
            self.mode = verb
        return verb == SAVE and self.check_all()


def opened(setting: Setting) -> Draft:
    """Return the contents of a stored setting. A value that has become invalid is shown with its problems."""
    seen = fingerprint(Kind.SETTING, setting.pk)
    draft = Draft(setting.limitation, setting.description, ", ".join(setting.tags), setting.value, seen=seen)
    draft.check_all()
    return draft


def posted(request: HttpRequest, limitation: Limitation) -> Draft:
    """Return the contents of the posted page."""
    sent = request.POST
    draft = Draft(
        limitation,
        sent.get(DESCRIPTION, ""),
        sent.get(TAGS, ""),
        mode=JSON if sent.get("mode") == JSON else FORM,
        seen=sent.get("seen", ""),
        check=sent.get("check") == "1",
    )
    if draft.mode == FORM:
        read = data_of(draft.schema, sent, name=VALUE)
        draft.value, draft.texts = read.value, read.texts
        draft.problems |= read.problems
        return draft
    text = sent.get("json", "")
    draft.value = json_field(text, VALUE, draft.problems)
    if draft.problems:
        draft.text = text
    elif draft.group is not None:
        draft.value = _stored(draft.group, draft.value)
    return draft


def _stored(group: SettingsGroup, value: Any) -> Any:
    """Return what differs from the defaults; an invalid value as it is."""
    try:
        return platform.difference(group, value)
    except LunaError:
        return value


def _notes(group: SettingsGroup) -> Mapping[str, str]:
    """Return a note for each member that the environment of this process sets."""
    try:
        used: Any = platform.in_use(group, {})
    except SettingsError:
        used = {}
    notes = {}
    for path, variable in platform.overridden(group).items():
        place: Any = used
        for step in path.split("."):
            place = place.get(step) if isinstance(place, dict) else None
        notes[f"{VALUE}.{path}"] = _("%(variable)s overrides this: %(value)s") % {
            "variable": variable,
            "value": json.dumps(place, ensure_ascii=False),
        }
    return notes
