"""The embedded services (PostgreSQL, Redis) and the processes of the platform (web, worker, beat).

The package uses the standard library only and never imports Django, because Django's settings import it.
"""
