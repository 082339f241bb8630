"""The services and processes that the platform runs by itself: PostgreSQL, Redis, web, worker and beat.

Standard library only, and nothing here imports Django: settings import this package, not the other way round.
"""
