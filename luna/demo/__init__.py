"""The demo: a client of the running platform over HTTP and websocket. It imports no room."""
