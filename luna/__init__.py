"""The composition root of the platform."""

__version__ = "0.1.0"
