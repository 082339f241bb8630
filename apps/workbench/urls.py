"""Pages of the workbench, below `/admin/workbench/`. `@page` makes each view require a login."""

from django.urls import path

from apps.workbench.admin import events, faces, matching, pages, photographs, policies

app_name = "workbench"
urlpatterns = [
    path("account/", pages.account_choose, name="account"),
    path("try/", photographs.try_page, name="try"),
    path("try/photograph/", photographs.try_photograph, name="try_photograph"),
    path("enrol/", photographs.enrol_page, name="enrol"),
    path("enrol/photographs/", photographs.enrol_photographs, name="enrol_photographs"),
    path("faces/", faces.selection, name="selection"),
    path("faces/decide/", faces.selection_decide, name="selection_decide"),
    path("faces/undo/", faces.undo, name="undo"),
    path("faces/<uuid:face_id>/", faces.face_page, name="face"),
    path("faces/<uuid:face_id>/save/", faces.face_save, name="face_save"),
    path("sightings/<uuid:event_id>/", faces.sighting_page, name="sighting"),
    path("sightings/<uuid:event_id>/photograph/", faces.sighting_jpeg, name="sighting_jpeg"),
    path("events/", events.events, name="events"),
    path("events/<uuid:event_id>/", events.event_record, name="event"),
    path("wall/", events.wall, name="wall"),
    path("wall/ticket/", events.wall_ticket, name="wall_ticket"),
    path("trace/", events.trace, name="trace"),
    path("match/", matching.dialog, name="match"),
    path("handlers/", policies.handler_add, name="handler_add"),
    path("handlers/<uuid:key>/", policies.handler_edit, name="handler_edit"),
    path("handlers/<uuid:key>/copy/", policies.handler_copy, name="handler_copy"),
    path("verifiers/", policies.verifier_add, name="verifier_add"),
    path("verifiers/<uuid:key>/", policies.verifier_edit, name="verifier_edit"),
    path("verifiers/<uuid:key>/copy/", policies.verifier_copy, name="verifier_copy"),
]
