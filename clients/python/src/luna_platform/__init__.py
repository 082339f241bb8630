"""A typed client of the Luna platform, synchronous and asynchronous."""

from luna_platform.calls import ApiError, Content, Form, Picture
from luna_platform.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["ApiError", "AsyncClient", "Client", "Content", "Form", "Picture"]
