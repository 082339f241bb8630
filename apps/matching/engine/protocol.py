"""Protocol of matchers: candidates, vectors and limits as input, keys and cosines as output.

A matcher does not handle similarities, JSON or the members of matches. Thresholds are cosines, and
`apps.matching.hydration` reads the objects of the resulting keys.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from apps.common.descriptors import DescriptorVersion, Vector
from apps.matching.types import Candidates

Key = int | UUID
"""Key of an object: the database key of a face or an event, or the id of a temporary attribute."""


class Hit(NamedTuple):
    """Candidate with the cosine of its descriptor and the vector of the request."""

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
        """Return the candidates with the highest cosines for each vector, highest first.

        `vectors`: unit vectors, float32 [dimension of the version]. A vector has at most `limit` hits, each with a
        cosine of at least `threshold` (-1..1). Candidates without a descriptor of the version are skipped. Hits of
        equal cosine keep the order of creation of their objects. Every candidate outside of the hits has a lower
        cosine than the last hit, or an equal cosine and a later creation.
        """
