"""Sortable and to the second: what happened when is what the site is looked at for."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
