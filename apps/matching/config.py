"""Settings of matching."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import SecretStr, StringConstraints

from apps.common.config import PluginNames, Scope, Section, Settings, group, setting


class FacesLists(Section):
    """Lists of faces in memory."""

    include: tuple[UUID, ...] | None = setting(None, "Ids of the only lists in memory. Default: all lists.")
    exclude: tuple[UUID, ...] = setting((), "Ids of lists that are not in memory.")


class CachedData(Section):
    """Descriptors in memory."""

    faces_lists: FacesLists = FacesLists()


class MatchingSettings(Section):
    """Scans of lists in memory."""

    thread_count: int = setting(
        0, "Scans at the same time in each process. 0: the process's share of the processors.", ge=0, le=1024
    )
    batch_size: int = setting(20, "Waiting requests for the same list that are scanned together.", ge=1, le=1000)


@group("DESCRIPTORS_CACHE", scope=Scope.LIVE)
class DescriptorsCache(Settings):
    """Descriptors of lists in memory, shared by all processes of a machine. Other lists are matched in the database."""

    cache_enabled: bool = setting(True, "Whether lists are matched in memory.")
    updating_cache_interval: float = setting(
        2.0, "Seconds between two looks of the builder at changed lists.", ge=0.1, le=3600
    )
    matching_settings: MatchingSettings = MatchingSettings()
    cached_data: CachedData = CachedData()
    smallest_list: int = setting(
        1000, "Faces of a list from which it is in memory; the database is as fast for smaller lists.", ge=1
    )
    memory_limit: int = setting(
        4 * 1024**3,
        "Bytes of all lists in memory. A list that does not fit is matched in the database.",
        ge=0,
        le=2**50,
    )


Precision = Literal["int8", "fp16"]


@group("MATCHER_DEVICE", scope=Scope.START)
class MatcherDevice(Settings):
    """Device that scans the lists in memory. Each process holds its own copy of their codes on the device."""

    device: str = setting(
        "cpu",
        "Device. Default: `LUNA_DEVICE` of the environment, else cpu. The start fails if a CUDA device is not present.",
        env="LUNA_MATCHER_DEVICE",
        accepts="cpu, cuda or cuda:N",
        pattern=r"^(cpu|cuda(:[0-9]{1,2})?)$",
    )
    precision: Precision = setting(
        "int8", "Precision of the products: int8 takes one byte per number, fp16 two. Answers are the same."
    )
    memory_limit: int = setting(
        8 * 1024**3, "Bytes of all codes on the device. The CPU scans segments that do not fit.", ge=0, le=2**50
    )
    smallest_segment: int = setting(100_000, "Faces of a segment from which it is copied to the device.", ge=1)


@group("MATCHING_SPEED", scope=Scope.LIVE)
class MatchingSpeed(Settings):
    """Fast matching of lists in memory: it may miss faces that exact matching finds. Default: all lists exact."""

    fast_lists: tuple[UUID, ...] = setting((), "Ids of lists with fast codes.")
    fast_from: int | None = setting(
        None, "Faces from which every list in memory has fast codes. Default: no size.", ge=1, le=2**50
    )
    default_speed: Literal["exact", "fast"] = setting(
        "exact", "Speed of requests that do not name one, in lists with fast codes."
    )
    recall: float = setting(
        0.99,
        "Share of the 5 nearest faces of strangers that fast codes are to find, measured on the list's own "
        "descriptors. A tenth of the misses is allowed for known people.",
        ge=0.5,
        le=0.9999,
    )


@group("LUNA_PYTHON_MATCHER_PROXY", scope=Scope.START)
class MatcherProxy(Settings):
    """Matching plugins."""

    active_plugins: PluginNames = setting(
        (),
        "Plugins: names of files without `.py` in `plugins/matching` of the var directory, of entry points of "
        "`luna.matching_plugins`, or built-in ones. Of equal costs the first plugin is used.",
        accepts="a list of names, separated by commas",
    )
    search_timeout: float = setting(
        5.0, "Seconds that a plugin may search; then the database searches.", ge=0.01, le=600
    )


@group("LUNA_MILVUS", scope=Scope.START)
class MilvusServer(Settings):
    """Milvus, which the matching plugin `milvus` searches."""

    uri: str = setting(
        "", "Address, such as `http://milvus:19530`. A path of a file opens Milvus Lite in one process, for tests."
    )
    token: SecretStr = setting(SecretStr(""), "`user:password`, or a key.")
    collection_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = setting(
        "luna", "Beginning of the names of the platform's collections."
    )
    index_type: Literal["FLAT", "HNSW"] = setting(
        "FLAT",
        "Index of new collections. FLAT compares all descriptors. HNSW is approximate: it leaves some faces out.",
    )
    smallest_list: int = setting(1000, "Faces of a list from which it is copied to Milvus.", ge=1)
    timeout: float = setting(30.0, "Seconds for a write. `search_timeout` of the plugins limits searches.", ge=0.1)
