"""Paths of this room."""

from django.urls import path

from apps.faces.api.views import attributes, faces, lists

urlpatterns = [
    path("attributes", attributes.AttributesView.as_view()),
    path("attributes/<str:attribute_id>", attributes.AttributeView.as_view()),
    path("attributes/<str:attribute_id>/samples", attributes.AttributeSamplesView.as_view()),
    path("faces", faces.FacesView.as_view()),
    path("faces/count", faces.FacesCountView.as_view()),
    path("faces/attributes/count", faces.FacesAttributesCountView.as_view()),
    path("faces/<str:face_id>", faces.FaceView.as_view()),
    path("faces/<str:face_id>/attributes", faces.FaceAttributesView.as_view()),
    path("faces/<str:face_id>/attributes/samples", faces.FaceAttributeSamplesView.as_view()),
    path("lists", lists.ListsView.as_view()),
    path("lists/count", lists.ListsCountView.as_view()),
    path("lists/<str:list_id>", lists.ListView.as_view()),
    path("lists/<str:list_id>/faces", lists.ListFacesView.as_view()),
]
