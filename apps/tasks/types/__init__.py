"""The types of background tasks."""
