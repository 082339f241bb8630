"""View of POST /6/ws/ticket."""

from typing import Annotated, ClassVar, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import principal_of_request
from apps.common import errors
from apps.common.api.views import LunaView
from apps.common.errors import LunaError
from apps.common.parts import SENDER
from apps.sender.selectors import listener_of
from apps.sender.tickets import LIFETIME_S, ticket_create


class TicketJson(TypedDict):
    ticket: Annotated[str, "Opens one websocket: `/6/ws?ticket=…`."]
    expires_in: Annotated[int, "Seconds."]


class TicketView(LunaView):
    permissions: ClassVar = {"POST": ("event", "view")}
    parts = (SENDER,)

    @extend_schema(
        summary="create ticket of a websocket",
        operation_id="post_websocket_ticket",
        description="Browsers cannot send credentials with the handshake of a websocket. A ticket has the rights of "
        "the request's credentials, and opens one websocket.",
        request=None,
        responses={201: TicketJson},
    )
    def post(self, request: Request) -> Response:
        listener = listener_of(principal_of_request(request))
        if listener is None:
            raise LunaError(errors.SUBSCRIPTION_NEEDS_ACCOUNT)
        ticket = ticket_create(listener=listener)
        return Response({"ticket": ticket, "expires_in": LIFETIME_S}, status.HTTP_201_CREATED)
