"""The authentication schemes of the OpenAPI document. `AccountsConfig.ready` imports this module once."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from apps.accounts.auth.authentication import ACCOUNT_HEADER


class LunaAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.auth.authentication.LunaAuthentication"
    name = ["BasicAuth", "BearerAuth", "LunaAccountIdAuth"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        """Return the schemes as alternatives."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "basic", "description": "Login and password of an account."},
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The JWT of a token."},
            {"type": "apiKey", "in": "header", "name": ACCOUNT_HEADER, "description": "Deprecated: an account's id."},
        ]


class AdministratorAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.api.administrators.AdministratorAuthentication"
    name = "AdminAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "basic", "description": "Login and password of an account of type `admin`."}
