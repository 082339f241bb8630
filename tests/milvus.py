"""Milvus Lite: a server in a thread of this process, which pymilvus starts for an address that is a path."""

from milvus_lite.server_manager import server_manager_instance

from apps.matching.milvus.store import milvus


def server_stop() -> None:
    """Stop the servers; the next client starts them again, with their data."""
    server_manager_instance.release_all()


def milvus_close() -> None:
    """Close the connection of this process, and stop its server."""
    milvus.close()
    server_stop()
