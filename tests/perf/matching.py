"""Exact match in a list of 10,000 faces, beside a bare scan of the same 10,000 vectors in a table of their own."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from pgvector import Vector as PgVector

from apps.accounts.services import account_create
from apps.common import nearest
from apps.common.descriptors import Calibration, DescriptorVersion, Vector, versions
from apps.common.scope import Scope
from apps.faces.models import Face, FaceDescriptor, List, ListFace
from apps.matching.matcher import match
from apps.matching.types import Block, FaceCandidates, Probe
from tests.perf.events import PASSWORD
from tests.perf.report import Row, percentile

LIST_FACES = 10_000
OTHER_FACES = 40_000
DIMENSION = 128
TOP = 5
ROUNDS = 200
T = TypeVar("T")
VERSION = DescriptorVersion(900_001, "face", "benchmark", DIMENSION, "float32-le", Calibration(((-1, 0), (1, 1))))


def bench() -> list[Row]:
    versions.register(VERSION)
    random = np.random.default_rng(2026)
    with transaction.atomic():  # the rows are gone afterwards
        account = account_create(login="benchmark@luna.test", password=PASSWORD)
        row = List.objects.create(account=account)
        keys = add_faces(account.account_id, random, LIST_FACES)
        ListFace.objects.bulk_create(
            ListFace(list=row, face_id=key, link_key=number) for number, key in enumerate(keys, start=1)
        )
        copy_alone(keys)
        scope = Scope(account.account_id)
        block = Block(FaceCandidates(scope=scope, filters={"list_id": row.list_id}), limit=TOP)
        rows = [compare("exact match, list of 10,000, nobody else", random, block, "≤ 3× bare")]
        add_faces(account.account_id, random, OTHER_FACES)
        analyze()
        rows.append(compare("exact match, list of 10,000 among 50,000", random, block, ""))
        transaction.set_rollback(True)
    return rows


def unit(random: np.random.Generator, count: int) -> Vector:
    vectors = random.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def add_faces(account_id: UUID, random: np.random.Generator, count: int) -> list[int]:
    faces = Face.objects.bulk_create([Face(account_id=account_id) for _ in range(count)], batch_size=5000)
    rows = (
        FaceDescriptor(face=face, version=VERSION.version, vector=vector)
        for face, vector in zip(faces, unit(random, count), strict=True)
    )
    FaceDescriptor.objects.bulk_create(rows, batch_size=5000)
    return [face.pk for face in faces]


def copy_alone(keys: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE bare (face_id bigint, vector vector) ON COMMIT DROP")
        cursor.execute("ALTER TABLE bare ALTER vector SET STORAGE PLAIN")
        cursor.execute(
            "INSERT INTO bare SELECT face_id, vector FROM faces_facedescriptor WHERE face_id = ANY(%s) ORDER BY id",
            [keys],
        )
    analyze()


def analyze() -> None:
    """Analyse the tables as autovacuum does after a growth, and expire the counts of candidates."""
    nearest._census.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bare, faces_face, faces_facedescriptor, faces_list, faces_listface")


def compare(name: str, random: np.random.Generator, block: Block, goal: str) -> Row:
    """Alternate both variants, so that other load affects both equally."""
    own, bare = [], []
    for vector in unit(random, ROUNDS + 5):
        probe = Probe("", "raw_descriptor", VERSION.version, vector)
        (found, *_), own_ms = timed(partial(match, probes=[probe], block=block))
        expected, bare_ms = timed(partial(bare_scan, vector))
        if [each.face and each.face.id for each in found] != [key for key, _ in expected]:
            raise AssertionError("the matcher and the bare scan disagree")
        own.append(own_ms)
        bare.append(bare_ms)
    value, baseline = percentile(own[5:], 50), percentile(bare[5:], 50)
    return Row(f"{name}, p50", value, "ms", baseline, value / baseline, goal)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - started) * 1000


def bare_scan(vector: Vector) -> list[tuple[int, float]]:
    with connection.connection.cursor() as cursor:  # psycopg itself
        cursor.execute(
            "SELECT face_id, vector <#> %s::vector AS distance FROM bare ORDER BY distance LIMIT %s",
            [PgVector(vector).to_text(), TOP],
        )
        return cursor.fetchall()
