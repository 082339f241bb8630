"""Sortable formats with seconds: operators compare times in logs and lists."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
