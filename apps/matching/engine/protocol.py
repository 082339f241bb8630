"""The protocol of matchers: candidates, vectors and bounds in, keys and cosines out.

A matcher knows nothing of similarities, of JSON and of what a match shows: thresholds arrive as cosines, and
`apps.matching.hydration` reads the objects of the keys that are left.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from apps.common.descriptors import DescriptorVersion, Vector
from apps.matching.types import Candidates

Key = int | UUID
"""What a matcher calls an object: the key of a face's or event's row, the id of a temporary attribute."""


class Hit(NamedTuple):
    """A candidate and the cosine of its descriptor and the vector of the request."""

    key: Key
    cosine: float


class Matcher(Protocol):
    def search(
        self,
        candidates: Candidates,
        version: DescriptorVersion,
        vectors: Sequence[Vector],
        limit: int,
        threshold: float,
    ) -> list[list[Hit]]:
        """Return for each vector the candidates of the highest cosines, highest first.

        `vectors`: unit vectors, float32 [dimension of the version]. At most `limit` hits a vector, each with a cosine
        of at least `threshold` (-1..1). Candidates without a descriptor of the version are left out. Hits of equal
        cosine are in the order in which their objects were made. Every candidate that is not among the hits has a
        lower cosine than the last of them, or the same and was made later.
        """
