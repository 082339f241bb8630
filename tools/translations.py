"""The catalogues of translations: `python -m tools.translations` extracts all texts and compiles the translations.

The folders of `locale` are the languages. New texts are added to `<language>/LC_MESSAGES/django.po` without a
translation, texts that are gone are removed. Babel reads Python; Django's `templatize` turns templates into Python, as
`makemessages` does. The compiled file is committed, so that an installation needs neither Babel nor gettext.
"""

import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tools import sentences

ROOT = Path(__file__).parent.parent
LOCALES = ROOT / "locale"
LANGUAGES = tuple(sorted(each.name for each in LOCALES.iterdir() if each.is_dir()))
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    **dict.fromkeys(("_", "_lazy", "gettext", "gettext_lazy", "_page", "_item"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    "npgettext": ((1, "c"), 2, 3),
}
HEADER = "# Texts of the admin site. `python -m tools.translations` extracts the texts and compiles this file."
CONTEXT = "error"  # of the sentences that `apps.common.refusals` translates
Message = str | tuple[str, ...]
# Texts of Unfold on our pages that neither Unfold nor Django translates.
UNFOLD = (
    "Add row", "All applications", "Apply Filters", "Cancel", "Change History", "Choose file to upload",
    "Click to cancel", "Click to download", "Collapse", "Current file", "Dark", "Date", "Date from", "Date to",
    "Default", "Edit", "Expand row", "False", "From", "Go back", "Image preview", "Light", "Loading more results...",
    "More actions", "New", "Next", "No data", "No recent searches", "No results found",
    "No results matching your query",
    "Object permissions", "Previous", "Recent searches", "Record picture", "Reset filters", "Reset to default",
    "Return to site", "Run", "Search apps and models...", "Select action", "Select action to run", "Select all rows",
    "Select record", "Select value", "Submit", "System", "This item will be deleted.", "To", "True",
    "This page yielded into no results. Create a new item or reset your filters.", "Toggle password visibility",
    "Type to search", "Unlink", "Value", "Welcome back to",
    "You have been successfully logged out from the administration",
    "After you've created a user, you’ll be able to edit more user options.",
    "Raw passwords are not stored, so there is no way to see this user’s password, but you can change the password "
    'using <a href="{}" class="text-primary-600 dark:text-primary-500">this form</a>.',
    "This object doesn't have a change history.",
)  # fmt: skip
# Messages of REST framework, whose German translation is informal or missing.
VALIDATION = (
    "A valid biginteger is required.", "Date has wrong format. Use one of these formats instead: {format}.",
    "Datetime has wrong format. Use one of these formats instead: {format}.",
    "Duration has wrong format. Use one of these formats instead: {format}.",
    "Ensure that there are no more than {max_decimal_places} decimal places.",
    "Ensure that there are no more than {max_digits} digits in total.",
    "Ensure that there are no more than {max_whole_digits} digits before the decimal point.",
    "Ensure this field has at least {min_length} characters.",
    "Ensure this field has no more than {max_length} characters.",
    "Ensure this filename has at most {max_length} characters (it has {length}).",
    "Ensure this value is greater than or equal to {min_value}.",
    "Ensure this value is less than or equal to {max_value}.", "Enter a valid URL.", "Enter a valid email address.",
    "Invalid data. Expected a dictionary, but got {datatype}.", "Not a valid string.",
    "The number of days must be between {min_days} and {max_days}.",
    "The submitted data was not a file. Check the encoding type on the form.",
    "Time has wrong format. Use one of these formats instead: {format}.",
    'Expected a list of items but got type "{input_type}".',
    'Expected a dictionary of items but got type "{input_type}".', '"{input}" is not a valid choice.',
)  # fmt: skip
UNFOLD_PLURALS = (
    ("%(counter)s result", "%(counter)s results"),
    ("Please correct the error below.", "Please correct the errors below."),
    ("entry", "entries"),
)


def texts(language: str) -> Catalog:
    """Return the texts of the platform without translations."""
    catalog = Catalog(locale=language, domain="django", project="Luna", header_comment=HEADER)
    known: tuple[Message, ...] = (*sorted(set(words()) - {""}), *VALIDATION, *UNFOLD, *UNFOLD_PLURALS)
    named = ((each, None) for each in (*known, *sentences.settings()))
    refusals = ((each, CONTEXT) for each in sentences.errors())
    for message, context in (*_of_python(), *_of_templates(), *named, *refusals):
        catalog.add(message, context=context)
    return catalog


def _of_python() -> Iterator[tuple[Message, str | None]]:
    for folder in ("apps", "luna"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield from _extracted(path.read_bytes())


def _of_templates() -> Iterator[tuple[Message, str | None]]:
    from django.utils.translation.template import templatize

    for path in sorted((ROOT / "templates").rglob("*.html")):
        # The rest of a template becomes words of X: one line of Python, which has no indentation.
        yield from _extracted(templatize(path.read_text("utf-8"), origin=str(path)).replace("\n", " ").encode())


def _extracted(source: bytes) -> Iterator[tuple[Message, str | None]]:
    for _line, message, _comments, context in extract("python", io.BytesIO(source), keywords=KEYWORDS):
        if message and (isinstance(message, tuple) or message.strip()):
            yield message, context


def words() -> Iterator[str]:
    """Yield the names that pages show in their language: of models, columns, enumerations, members and estimations."""
    from django.apps import apps
    from django.contrib import admin
    from django.utils.translation import override

    from apps.accounts.admin import ACTIONS, OBJECT_TYPES
    from apps.accounts.auth.permissions import EMIT_EVENTS, OBJECT_RIGHTS
    from apps.accounts.choices import AccountType
    from apps.accounts.models import AccountOwned
    from apps.accounts.roles import Role
    from apps.common.filters.enums import Number
    from apps.common.filters.terms import TERMS
    from apps.faces.models import ListFace
    from apps.handlers.choices import HandlerType
    from apps.handlers.policies import PoliciesSerializer
    from apps.handlers.policies.verifier import VerifierPoliciesSerializer
    from apps.imagestore.choices import Bucket, audit_type
    from apps.matching.candidates import FILTERS
    from apps.monitoring.health import checks
    from apps.recognition.checks.table import own_thresholds
    from apps.recognition.checks.thresholds import OneOf
    from apps.recognition.vocabulary import ESTIMATIONS
    from apps.sender.targets import TARGETS
    from apps.tasks.choices import ScheduleStatus, TaskKind, TaskStatus

    with override(None):
        yield from (str(each.verbose_name) for each in apps.get_app_configs() if each.name.startswith("apps."))
        models: list[Any] = [*admin.site._registry, ListFace]
        for model in apps.get_models():
            if issubclass(model, AccountOwned):
                yield str(model._meta.verbose_name_plural)
        for model in models:
            if model.__module__.startswith("apps."):
                yield from (str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
                yield from (str(field.verbose_name) for field in model._meta.fields)
    named: Iterable[str] = (
        *ACTIONS,
        *OBJECT_TYPES,
        *(audit_type(bucket) for bucket in Bucket),
        *(each.value for kind in (Role, AccountType) for each in kind),
        *(each.name.lower() for kind in (HandlerType, TaskKind, TaskStatus, ScheduleStatus) for each in kind),
        *(each.word for kind in Number.__subclasses__() for each in kind),
        *(term.column.removesuffix("_id") for term in TERMS.values()),
        *(name for each in ESTIMATIONS.values() for name in (each.name, each.member)),
        *own_thresholds(),
        *(
            form
            for each in own_thresholds().values()
            if isinstance(each, OneOf)
            for word in each.words
            for form in (word, word.lower())
        ),
        *("min", "max"),
        *(
            name.removesuffix("_policy")
            for name in (*PoliciesSerializer().fields, *VerifierPoliciesSerializer().fields)
        ),
        *checks.names(),
        *(kind for kind in TARGETS),
        *("pitch", "roll", "yaw"),
        *OBJECT_RIGHTS,
        *(right for rights in OBJECT_RIGHTS.values() for right in rights),
        *FILTERS,  # origins of candidates
        EMIT_EVENTS[0],
        *("bytes of files", "kept responses"),  # of the deletion of an account
        *_members(),
    )
    yield from (name.replace("_", " ") for name in named if name)


def _members() -> Iterator[str]:
    """Yield the names of the members that forms show, and of the estimations of a face."""
    from apps.common.filters import SubscriptionSerializer
    from apps.handlers.policies import PoliciesSerializer
    from apps.handlers.policies.verifier import VerifierPoliciesSerializer
    from apps.matching.candidates import EventCandidateFilters, FaceCandidateFilters
    from apps.workbench.admin.matching import DialogQuery
    from apps.workbench.searches import EventSearch
    from apps.workbench.trails import TrailQuery

    for serializer in (
        SubscriptionSerializer,
        PoliciesSerializer,
        VerifierPoliciesSerializer,
        FaceCandidateFilters,
        EventCandidateFilters,
        DialogQuery,
        EventSearch,
        TrailQuery,
    ):
        yield from _of_fields(serializer())


def _of_fields(field: Any) -> Iterator[str]:
    """Yield the names of an object's members, and their options and hints, as forms show them."""
    from rest_framework.serializers import ChoiceField, Serializer

    from apps.common.fields import FlagField
    from apps.common.filters.kinds import NumberField

    child = getattr(field, "child", field)
    for name, member in getattr(child, "fields", {}).items():
        yield name.partition("__")[0]
        leaf = getattr(member, "child", member)
        if not isinstance(member, FlagField):
            yield from (
                str(word).lower() for word in getattr(leaf, "choices", {}).values() if not isinstance(word, int)
            )
        if leaf is not member and not isinstance(leaf, Serializer | ChoiceField | NumberField):
            yield str(member.help_text or "")
        yield from _of_fields(member)


def path_of(language: str, ending: str) -> Path:
    """Return the path of the translations (`po`) of a language, or of the compiled ones (`mo`)."""
    return LOCALES / language / "LC_MESSAGES" / f"django.{ending}"


def catalogue(language: str) -> Catalog:
    """Return the stored translations into a language."""
    with path_of(language, "po").open("rb") as file:
        return read_po(file, locale=language, domain="django")


def compiled(catalog: Catalog) -> bytes:
    """Return the compiled translations."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> int:
    """Update the files of all languages, and print the texts without a translation."""
    for language in LANGUAGES:
        _update(language)
    return 0


def _update(language: str) -> None:
    found = texts(language)
    catalog = catalogue(language) if path_of(language, "po").exists() else found
    found.creation_date, catalog.fuzzy = catalog.creation_date, False  # unchanged texts leave an unchanged file
    catalog.update(found, no_fuzzy_matching=True)
    path_of(language, "po").parent.mkdir(exist_ok=True)
    with path_of(language, "po").open("wb") as file:
        write_po(file, catalog, width=120, no_location=True, sort_output=True, ignore_obsolete=True)
    stored = catalogue(language)
    path_of(language, "mo").write_bytes(compiled(stored))
    missing = [str(each.id) for each in stored if each.id and not all(forms(each.string))]
    print(*missing, f"{language}: {len(missing)} of {len(stored)} texts have no translation.", sep="\n")


def forms(text: Any) -> tuple[str, ...]:
    """Return a text as its singular and plural, if it has one."""
    return (text,) if isinstance(text, str) else tuple(text)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "luna.settings")
    import django

    django.setup()
    sys.exit(main())
