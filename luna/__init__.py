"""The composition root: it joins the rooms into one Django project."""

__version__ = "0.1.0"
