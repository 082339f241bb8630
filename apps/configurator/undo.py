"""Undo of changes: the object gets its state before the change back."""

from typing import Any

from apps.accounts.auth.principal import Actor
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.configurator import selectors
from apps.configurator.choices import Kind
from apps.configurator.history import changing, record, state_of
from apps.configurator.models import Change, Limitation, Setting, SettingGroup
from apps.configurator.services import LimitationDraft, limitation_write, value_checked

State = dict[str, Any]


class UndoError(Exception):
    """The change cannot be undone. The message is a sentence for the operator."""


def change_undo(*, change: Change, actor: Actor | None = None) -> None:
    """Give an object the state that it had before a change. Raises UndoError if the object has changed since."""
    with changing():
        if state_of(change.kind, change.key) != change.after:
            raise UndoError("The object has changed since: undo the later changes first.")
        try:
            _restore(change)
        except LunaError as error:
            raise UndoError(error.detail) from error
        record(
            Kind(change.kind),
            key=change.key,
            before=change.after,
            after=state_of(change.kind, change.key),
            actor=actor,
            undoes=change,
        )


def _restore(change: Change) -> None:
    restore = {Kind.SETTING: _setting, Kind.LIMITATION: _limitation, Kind.GROUP: _group}[Kind(change.kind)]
    restore(change.key, change.before)


def _setting(key: str, state: State | None) -> None:
    if state is None:
        Setting.objects.filter(pk=int(key)).delete()
        return
    limitation = selectors.limitation_get(state["name"])
    value_checked(limitation, state["value"])  # the schema may have changed since
    now = utc_now()
    former = Setting.objects.filter(pk=int(key)).first()
    setting = former or Setting(pk=int(key), create_time=now, is_default=state["is_default"])
    setting.limitation, setting.value = limitation, state["value"]
    setting.description, setting.tags, setting.last_update_time = state["description"], state["tags"], now
    taken = {tag for each in limitation.settings.exclude(pk=setting.pk) for tag in each.tags}
    if taken.intersection(setting.tags):
        raise UndoError("Another setting has one of the tags now.")
    setting.save(force_insert=former is None)


def _limitation(key: str, state: State | None) -> None:
    limitation = Limitation.objects.filter(limitation_name=key).first()
    if state is None:
        if limitation is not None:
            limitation.delete()
        return
    limitation = limitation or Limitation()
    limitation_write(
        limitation,
        LimitationDraft(
            name=state["name"],
            schema=state["validation_schema"],
            services=state["services"],
            default_value=state["default_value"],
            description=state["description"],
        ),
    )
    limitation.setting_groups.set(SettingGroup.objects.filter(group_name__in=state["groups"]))
    limitation.settings.exclude(pk__in=[each["id"] for each in state["settings"]]).delete()
    for each in state["settings"]:
        _setting(str(each["id"]), each)


def _group(key: str, state: State | None) -> None:
    if state is None:
        SettingGroup.objects.filter(group_name=key).delete()
        return
    group, _ = SettingGroup.objects.update_or_create(group_name=key, defaults={"description": state["description"]})
    group.limitations.set(Limitation.objects.filter(limitation_name__in=state["limitations"]))
