"""Exception of this package."""


class NetworkError(Exception):
    """A manifest, source or installed network is invalid. The message names it and gives the remedy."""
