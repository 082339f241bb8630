"""Routes of accounts, tokens and credentials."""

from django.urls import path

from apps.accounts.api import views

urlpatterns = [
    path("accounts", views.AccountsView.as_view(), name="accounts"),
    path("account", views.AccountView.as_view(), name="account"),
    path("tokens", views.TokensView.as_view(), name="tokens"),
    path("tokens/count", views.TokensCountView.as_view(), name="tokens_count"),
    path("tokens/<str:token_id>", views.TokenView.as_view(), name="token"),
    path("credentials", views.CredentialsView.as_view(), name="credentials"),
]
