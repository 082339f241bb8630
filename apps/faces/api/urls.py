"""Routes of faces, lists and attributes."""

from django.urls import path

from apps.faces.api.views import attributes, faces, lists

urlpatterns = [
    path("attributes", attributes.AttributesView.as_view(), name="attributes"),
    path("attributes/<str:attribute_id>", attributes.AttributeView.as_view(), name="attribute"),
    path("attributes/<str:attribute_id>/samples", attributes.AttributeSamplesView.as_view(), name="attribute_samples"),
    path("faces", faces.FacesView.as_view(), name="faces"),
    path("faces/count", faces.FacesCountView.as_view(), name="faces_count"),
    path("faces/attributes/count", faces.FacesAttributesCountView.as_view(), name="faces_attributes_count"),
    path("faces/<str:face_id>", faces.FaceView.as_view(), name="face"),
    path("faces/<str:face_id>/attributes", faces.FaceAttributesView.as_view(), name="face_attribute"),
    path(
        "faces/<str:face_id>/attributes/samples",
        faces.FaceAttributeSamplesView.as_view(),
        name="face_attribute_samples",
    ),
    path("lists", lists.ListsView.as_view(), name="lists"),
    path("lists/count", lists.ListsCountView.as_view(), name="lists_count"),
    path("lists/<str:list_id>", lists.ListView.as_view(), name="list"),
    path("lists/<str:list_id>/faces", lists.ListFacesView.as_view(), name="list_faces"),
]
