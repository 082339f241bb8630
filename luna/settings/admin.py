"""Appearance and sidebar of the admin site (django-unfold)."""

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy


def _page(title: str, icon: str, name: str) -> dict[str, object]:
    app, _, model = name.rpartition("_")
    return _item(title, icon, f"admin:{name}_changelist", f"{app}.view_{model}")


def _item(title: str, icon: str, route: str, permission: str) -> dict[str, object]:
    """Return a sidebar link that only users with the permission see."""
    return {
        "title": gettext_lazy(title),
        "icon": icon,
        "link": reverse_lazy(route),
        "permission": lambda request: request.user.has_perm(permission),
    }


UNFOLD = {
    "SITE_TITLE": "Luna",
    "SITE_HEADER": "Luna",
    "SITE_SUBHEADER": gettext_lazy("Face and body recognition"),
    "SITE_SYMBOL": "face_retouching_natural",
    "SITE_URL": reverse_lazy("spec"),
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "luna.dashboard.dashboard",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("luna/favicon.svg")}],
    "LOGIN": {"form": "apps.accounts.adminbase.login.LoginForm"},
    "STYLES": [lambda request: static("luna/admin.css")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .014 255)",
            "100": "oklch(94.8% .028 255)",
            "200": "oklch(90% .056 255)",
            "300": "oklch(81% .105 255)",
            "400": "oklch(71% .155 257)",
            "500": "oklch(62% .19 260)",
            "600": "oklch(55% .21 262)",
            "700": "oklch(49% .2 263)",
            "800": "oklch(43% .17 264)",
            "900": "oklch(38% .13 265)",
            "950": "oklch(28% .09 267)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {"items": [{"title": gettext_lazy("Overview"), "icon": "dashboard", "link": reverse_lazy("admin:index")}]},
            {
                "title": gettext_lazy("Work"),
                "items": [
                    _item("Try photographs", "frame_person", "workbench:try", "faces.view_face"),
                    _item("Enrol photographs", "person_add", "workbench:enrol", "faces.add_face"),
                    _item("Match", "compare", "workbench:match", "events.view_event"),
                    _item("Live wall", "live_tv", "workbench:wall", "events.view_event"),
                    _item("Search events", "search", "workbench:events", "events.view_event"),
                    _item("Trace a person", "route", "workbench:trace", "events.view_event"),
                ],
            },
            {
                "title": gettext_lazy("People"),
                "items": [
                    _page("Faces", "face", "faces_face"),
                    _page("Lists", "groups", "faces_list"),
                    _page("Events", "visibility", "events_event"),
                    _page("Unknown people", "person_search", "people_person"),
                ],
            },
            {
                "title": gettext_lazy("Platform"),
                "items": [
                    _page("Handlers", "account_tree", "handlers_handler"),
                    _page("Verifiers", "verified_user", "handlers_verifier"),
                    _page("Tasks", "task", "tasks_task"),
                    _page("Schedules", "schedule", "tasks_schedule"),
                    _page("Callbacks", "outgoing_mail", "sender_callback"),
                    _page("Stored pictures", "photo_library", "imagestore_storedobject"),
                    _page("Buckets", "inventory_2", "imagestore_storedbucket"),
                    _item("Descriptor versions", "fingerprint", "descriptor_versions", "faces.view_facedescriptor"),
                ],
            },
            {
                "title": gettext_lazy("Configurator"),
                "items": [
                    _page("Settings", "tune", "configurator_setting"),
                    _page("Limitations", "rule", "configurator_limitation"),
                    _page("Groups of settings", "folder", "configurator_settinggroup"),
                    _page("History of settings", "restore", "configurator_change"),
                ],
            },
            {
                "title": gettext_lazy("Access"),
                "items": [
                    _page("Accounts", "badge", "accounts_account"),
                    _page("Tokens", "key", "accounts_token"),
                    _page("Audit log", "history", "accounts_auditrecord"),
                    _item("Information", "info", "information", "accounts.view_account"),
                ],
            },
        ],
    },
}
