"""Routes of `/4`."""

from django.urls import path

from apps.administration.api import views
from apps.administration.api.task_views import task_routes

urlpatterns = [
    path("version", views.AdminVersionView.as_view(), name="admin_version"),
    path("healthcheck", views.AdminHealthView.as_view(), name="admin_healthcheck"),
    path("accounts", views.AdminAccountsView.as_view(), name="admin_accounts"),
    path("accounts/<str:account_id>", views.AdminAccountView.as_view(), name="admin_account"),
    path("authorization", views.AdminAuthorizationView.as_view(), name="admin_authorization"),
    path("lists", views.AdminListsView.as_view(), name="admin_lists"),
    path("lists/<str:list_id>", views.AdminListView.as_view(), name="admin_list"),
    path("faces", views.AdminFacesView.as_view(), name="admin_faces"),
    path("faces/<str:face_id>", views.AdminFaceView.as_view(), name="admin_face"),
    path("luna_sys_info", views.AdminSystemInfoView.as_view(), name="admin_luna_sys_info"),
    *task_routes(),
]
