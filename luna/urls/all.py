"""Every path of the platform: the API, its documentation and the admin site."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path

from luna.urls import api

urlpatterns = [
    path("admin/", admin.site.urls),
    path("static/<path:path>", serve, {"insecure": True}),  # a few files of the admin and the API page
    path("", include(api)),
]
