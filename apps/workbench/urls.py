"""Pages of the workbench, below `/admin/workbench/`. `@page` makes each view require a login."""

from django.urls import path

from apps.workbench.admin import pages

app_name = "workbench"
urlpatterns = [
    path("account/", pages.account_choose, name="account"),
]
