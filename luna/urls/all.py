"""Every path of the platform: the API, its documentation and the admin site."""

from django.contrib import admin
from django.urls import include, path

from luna.urls import api

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include(api)),
]
