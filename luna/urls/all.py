"""Every path of the platform: the API, its documentation and the admin site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.accounts.admin import own_password_change
from apps.descriptors.admin import descriptor_versions
from luna.urls import api

urlpatterns = [
    path("admin/descriptor-versions/", admin.site.admin_view(descriptor_versions), name="descriptor_versions"),
    path("admin/password_change/", admin.site.admin_view(own_password_change)),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include(api)),
]

handler400 = "luna.error_pages.bad_request"
handler403 = "luna.error_pages.not_allowed"
handler404 = "luna.error_pages.not_found"
handler500 = "luna.error_pages.failed"
