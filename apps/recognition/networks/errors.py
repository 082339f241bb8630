"""The one exception of this package."""


class NetworkError(Exception):
    """A manifest, source or installed network is not as it must be; the message says which and what to do."""
