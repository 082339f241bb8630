"""The HTTP API, version 6.

Django tries the patterns in order, so the most frequent routes come first.
"""

from django.urls import include, path

from apps.common.plugins.services import plugins
from apps.monitoring.api.views import FeaturesView

urlpatterns = [
    path("", include("apps.monitoring.api.urls")),
    path("6/features", FeaturesView.as_view(), name="features"),
    path("6/", include("apps.faces.api.urls")),
    path("6/", include("apps.handlers.api.urls")),
    path("6/", include("apps.matching.api.urls")),
    path("6/", include("apps.recognition.api.urls")),
    path("6/", include("apps.events.api.urls")),
    path("6/", include("apps.imagestore.api.urls")),
    path("6/", include("apps.accounts.api.urls")),
    path("6/", include("apps.privacy.api.urls")),
    path("6/", include("apps.tasks.api.urls")),
    path("6/", include("apps.sender.api.urls")),
    path("4/", include("apps.administration.api.urls")),
    path("1/", include("apps.imagestore.api.bucket_urls")),
    path("1/", include("apps.licenses.api.urls")),
    path("1/", include("apps.configurator.api.urls")),
    path("6/plugins/", include(plugins().urls())),
    path("", include("luna.urls.docs")),
]
