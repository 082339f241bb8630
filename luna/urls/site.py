"""The admin site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.accounts.admin import own_password_change
from apps.administration.admin.info import information, information_download
from apps.descriptors.admin import descriptor_versions

urlpatterns = [
    path("admin/descriptor-versions/", admin.site.admin_view(descriptor_versions), name="descriptor_versions"),
    path("admin/information/", admin.site.admin_view(information), name="information"),
    path("admin/information/download/", admin.site.admin_view(information_download), name="information_download"),
    path("admin/password_change/", admin.site.admin_view(own_password_change)),
    path("admin/workbench/", include("apps.workbench.urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]
