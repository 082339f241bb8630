"""Paths of this room."""

from django.urls import path

from apps.accounts.api import views

urlpatterns = [
    path("accounts", views.AccountsView.as_view()),
    path("account", views.AccountView.as_view()),
    path("tokens", views.TokensView.as_view()),
    path("tokens/count", views.TokensCountView.as_view()),
    path("tokens/<str:token_id>", views.TokenView.as_view()),
    path("credentials", views.CredentialsView.as_view()),
]
