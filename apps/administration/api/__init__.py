"""The API of Admin (`/4`)."""
