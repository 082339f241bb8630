"""The demo: a client of the running platform. It speaks HTTP and websocket, and imports none of the rooms."""
