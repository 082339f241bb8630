"""Storages of pictures for tests: folders, and a process that speaks S3 on loopback."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from django.core.files.storage import default_storage

from tests.ports import free_port

BUCKET = "luna-test"
KEYS = {"access_key": "test", "secret_key": "test"}
START_S = 30


@contextmanager
def s3_server(port: int | None = None) -> Iterator[str]:
    """The address of a running server with an empty bucket."""
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        address = f"http://127.0.0.1:{port}"
        client(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        process.terminate()
        process.wait()


def client(address: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"],
    )


def options(address: str, prefix: str) -> dict[str, object]:
    """Of the storage: a corner of the bucket for one test."""
    return {
        "bucket_name": BUCKET, "endpoint_url": address, "region_name": "us-east-1", "location": prefix, **KEYS
    }  # fmt: skip


def use_storage(settings: Any, backend: str, **storage_options: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": backend, "OPTIONS": storage_options}}


def stored_names(folder: str = "") -> list[str]:
    """The names of all files in the store, whatever it is."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    found = [f"{folder}/{name}".lstrip("/") for name in names]
    for each in folders:
        found += stored_names(f"{folder}/{each}".lstrip("/"))
    return sorted(found)
