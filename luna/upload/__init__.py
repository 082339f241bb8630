"""`manage.py upload_folder`: faces of the photographs of a folder, over the HTTP API."""
