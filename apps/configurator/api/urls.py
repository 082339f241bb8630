"""Routes of the Configurator below `/1`."""

from django.urls import path

from apps.configurator.api import views

urlpatterns = [
    path("settings", views.SettingsView.as_view(), name="settings"),
    path("settings/check", views.SettingCheckView.as_view(), name="setting_check"),
    path("settings/services", views.ServicesView.as_view(), name="setting_services"),
    path("settings/limitations", views.LimitationsView.as_view(), name="limitations"),
    path("settings/limitations/<str:limitation_name>", views.LimitationView.as_view(), name="limitation"),
    path("settings/groups", views.GroupsView.as_view(), name="setting_groups"),
    path("settings/groups/<str:group_name>", views.GroupView.as_view(), name="setting_group"),
    path("settings/<str:setting>", views.SettingView.as_view(), name="setting"),
    path("dump", views.DumpView.as_view(), name="settings_dump"),
]
