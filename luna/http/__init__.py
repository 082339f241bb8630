"""HTTP of the platform: a WSGI application behind uvicorn, with bounds on everything that a client chooses."""
