"""Routes of events."""

from django.urls import path

from apps.events.api.statistics_views import StatisticsView
from apps.events.api.views import EventsView, EventView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/stats", StatisticsView.as_view(), name="event-statistics"),
    path("events/<str:event_id>", EventView.as_view(), name="event"),
]
