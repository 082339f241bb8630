"""Collections in Milvus: the rows of copies of lists, and one entry per copy.

A copy is one build of one list. Its rows have its number, so that a list is built anew beside the copy in use. The
entries are in Milvus, too: a Milvus that lost its data has no entries either, and the lists are copied again.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson

from apps.common.config import config
from apps.common.process import PerProcess
from apps.faces.changes import Keys, Mark
from apps.matching.config import MilvusServer
from apps.matching.segments.codes import Floats

BATCH_ROWS = 1000
MAX_RESULTS = 16_384  # of Milvus, for one vector or one query
ENTRY_MAX_LENGTH = 1000
State = Literal["building", "ready", "retired"]


class MilvusError(Exception):
    """Milvus cannot be used. The message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A copy of a list. `mark`: what it contains at least. `since_s`: time of its state, seconds since 1970."""

    copy: int
    list_key: int
    list_id: str
    account_id: str
    version: int
    dimension: int
    cluster: str
    mark: Mark
    state: State
    since_s: float

    @classmethod
    def new(cls, **members: Any) -> "Entry":
        """Return the entry of a copy that is to be built."""
        # 52 bits: expressions of Milvus pass through JSON numbers in some clients.
        return cls(copy=secrets.randbits(52), state="building", since_s=time.time(), **members)

    def with_state(self, state: State) -> "Entry":
        return replace(self, state=state, since_s=time.time())

    @property
    def row(self) -> dict[str, Any]:
        """The row of Milvus. `Mark.seen` is left out: readers then read some changes twice."""
        mark = [self.mark.link_key, self.mark.unlink_key, self.mark.xid]
        members = {name: getattr(self, name) for name in self.__slots__ if name not in ("copy", "mark")}
        return {"copy": self.copy, "entry": orjson.dumps(members | {"mark": mark}).decode(), "vector": [1.0, 0.0]}

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Entry":
        members = orjson.loads(row["entry"])
        return cls(copy=row["copy"], mark=Mark(*members.pop("mark")), **members)


class Found(NamedTuple):
    """Rows found for one vector: face keys, int64 [n], and cosines, float64 [n], highest first."""

    keys: Keys
    cosines: Any


class MilvusStore:
    """The collections of one platform."""

    def __init__(self, client: Any, *, prefix: str, index_type: str) -> None:
        self._client, self._prefix, self._index_type = client, prefix, index_type
        self._made: set[str] = set()

    @classmethod
    def connected(cls) -> "MilvusStore":
        """Connect as the settings say. Raises MilvusError without address or library, and the client's errors."""
        settings = config(MilvusServer)
        if not settings.uri:
            raise MilvusError("LUNA_MILVUS_URI is not set.")
        try:
            from pymilvus import MilvusClient  # takes two seconds
        except ImportError as error:
            raise MilvusError("The package pymilvus is missing: install requirements-milvus.txt.") from error
        client = MilvusClient(settings.uri, token=settings.token.get_secret_value(), timeout=settings.timeout)
        return cls(client, prefix=settings.collection_prefix, index_type=settings.index_type)

    def entries(self) -> list[Entry]:
        """Return the entries of all copies."""
        name = self._entries_collection()
        rows = self._client.query(
            name, filter="copy >= 0", output_fields=["copy", "entry"], limit=MAX_RESULTS, consistency_level="Strong"
        )
        return [Entry.of(row) for row in rows]

    def entry_write(self, entry: Entry) -> None:
        self._client.upsert(self._entries_collection(), [entry.row])

    def rows_write(self, entry: Entry, keys: Keys, vectors: Floats) -> None:
        """Write rows of a copy, or replace them. `keys`: int64 [n]. `vectors`: float32 [n, dimension]."""
        name = self._rows_collection(entry.version, entry.dimension)
        for start in range(0, len(keys), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            self._client.upsert(
                name,
                [
                    {"id": f"{entry.copy}:{key}", "copy": entry.copy, "face": key, "vector": vector}
                    for key, vector in zip(keys[rows].tolist(), vectors[rows], strict=True)
                ],
            )

    def rows_delete(self, entry: Entry, keys: Keys) -> None:
        """Delete rows of a copy; unknown keys are skipped."""
        name = self._rows_collection(entry.version, entry.dimension)
        for start in range(0, len(keys), BATCH_ROWS):
            ids = [f"{entry.copy}:{key}" for key in keys[start : start + BATCH_ROWS].tolist()]
            self._client.delete(name, ids=ids)

    def faces_delete(self, entry: Entry, keys: Sequence[int]) -> int:
        """Delete rows of a copy, and return how many of the faces it contained."""
        name = self._rows_collection(entry.version, entry.dimension)
        ids = [f"{entry.copy}:{key}" for key in keys]
        rows = self._client.query(name, ids=ids, output_fields=["face"], consistency_level="Strong") if ids else []
        self.rows_delete(entry, np.array([row["face"] for row in rows], np.int64))
        return len(rows)

    def copy_delete(self, entry: Entry) -> None:
        """Delete a copy: its rows, then its entry, so that a deletion that fails is repeated."""
        self._client.delete(self._rows_collection(entry.version, entry.dimension), filter=f"copy == {entry.copy}")
        self._client.delete(self._entries_collection(), ids=[entry.copy])

    def rows_count(self, entry: Entry) -> int:
        name = self._rows_collection(entry.version, entry.dimension)
        query = {"filter": f"copy == {entry.copy}", "output_fields": ["count(*)"], "consistency_level": "Strong"}
        return int(self._client.query(name, **query)[0]["count(*)"])

    def search(
        self, entry: Entry, vectors: Floats, limit: int, *, only: Keys | None = None, timeout_s: float
    ) -> list[Found]:
        """Return the `limit` nearest rows of a copy for each vector.

        `vectors`: float32 [m, dimension]. `only`: the faces to compare, None for all. Raises the client's errors.
        """
        condition = f"copy == {entry.copy}" + ("" if only is None else f" and face in {only.tolist()}")
        found = self._client.search(
            self._rows_collection(entry.version, entry.dimension),
            data=list(vectors),
            limit=limit,
            filter=condition,
            output_fields=["face"],
            consistency_level="Bounded",  # `Sync` waits with publishing a mark until every reader sees it
            timeout=timeout_s,
        )
        return [
            Found(
                np.array([hit["entity"]["face"] for hit in hits], np.int64),
                np.array([hit["distance"] for hit in hits], np.float64),
            )
            for hits in found
        ]

    def drop(self) -> None:
        """Delete all collections of the platform."""
        for name in self._client.list_collections():
            if name.startswith(f"{self._prefix}_"):
                self._client.drop_collection(name)
        self._made.clear()

    def close(self) -> None:
        self._client.close()

    def _entries_collection(self) -> str:
        return self._collection("copies", dimension=2, entries=True)

    def _rows_collection(self, version: int, dimension: int) -> str:
        return self._collection(f"faces_{version}_{dimension}", dimension=dimension)

    def _collection(self, name: str, *, dimension: int, entries: bool = False) -> str:
        """Return the full name of a collection, which is made if it is missing."""
        name = f"{self._prefix}_{name}"
        if name in self._made:
            return name
        if self._client.has_collection(name):
            self._client.load_collection(name)  # a server may have started since it was made
        else:
            from pymilvus import DataType

            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            if entries:
                schema.add_field("copy", DataType.INT64, is_primary=True)
                schema.add_field("entry", DataType.VARCHAR, max_length=ENTRY_MAX_LENGTH)
            else:
                schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=48)
                schema.add_field("copy", DataType.INT64, is_partition_key=True)
                schema.add_field("face", DataType.INT64)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
            index = self._client.prepare_index_params()
            index.add_index(
                "vector",
                index_type="FLAT" if entries else self._index_type,
                metric_type="IP",
                params={"M": 32, "efConstruction": 400} if self._index_type == "HNSW" and not entries else {},
            )
            self._client.create_collection(name, schema=schema, index_params=index)
        self._made.add(name)
        return name


milvus = PerProcess("milvus", MilvusStore.connected, close=MilvusStore.close)
