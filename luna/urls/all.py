"""Every path of the platform: the API, its documentation and the admin site."""

from django.urls import include, path

from luna.urls import api, site

urlpatterns = [
    path("", include(site)),
    path("", include(api)),
]

handler400 = "luna.error_pages.bad_request"
handler403 = "luna.error_pages.not_allowed"
handler404 = "luna.error_pages.not_found"
handler500 = "luna.error_pages.failed"
