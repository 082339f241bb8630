"""Date formats of the admin site. The API writes RFC 3339."""
