"""How the admin site writes times; the API writes RFC 3339."""
