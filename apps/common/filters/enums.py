"""The platform's enumerations. Stored rows and filters hold numbers, responses hold words."""

from enum import IntEnum
from typing import Self


class Number(IntEnum):
    """An enumerated number with a word: `Emotion.ANGER.word == "anger"`, `Emotion.of("anger") == 1`."""

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the number of a word. Raises KeyError for an unknown word."""
        return cls[word.upper()]


class Gender(Number):
    FEMALE = 0
    MALE = 1


class ApparentGender(Number):
    """The apparent gender of a body."""

    FEMALE = 0
    MALE = 1
    UNKNOWN = 2


class EthnicGroup(Number):
    AFRICAN_AMERICAN = 1
    INDIAN = 2
    ASIAN = 3
    CAUCASIAN = 4


class Emotion(Number):
    ANGER = 1
    DISGUST = 2
    FEAR = 3
    HAPPINESS = 4
    NEUTRAL = 5
    SADNESS = 6
    SURPRISE = 7


class Mask(Number):
    MISSING = 1
    MEDICAL_MASK = 2
    OCCLUDED = 3


class Liveness(Number):
    SPOOF = 0
    REAL = 1
    UNKNOWN = 2


class Deepfake(Number):
    FAKE = 0
    REAL = 1


class Presence(Number):
    """Presence of headwear or of a backpack."""

    NO = 0
    YES = 1
    UNKNOWN = 2


class SleeveLength(Number):
    SHORT = 0
    LONG = 1
    UNKNOWN = 2


class Colour(Number):
    """Colours of upper clothing and lower garments."""

    UNKNOWN = 0
    BLACK = 1
    BLUE = 2
    GREEN = 3
    GREY = 4
    ORANGE = 5
    PURPLE = 6
    RED = 7
    WHITE = 8
    YELLOW = 9
    PINK = 10
    BROWN = 11
    BEIGE = 12
    KHAKI = 13
    MULTICOLORED = 14


class PlainColour(Number):
    """Colours of headwear and shoes."""

    UNKNOWN = 0
    WHITE = 1
    BLACK = 2
    OTHER = 3


class Garment(Number):
    """Types of lower garments."""

    UNKNOWN = 0
    TROUSERS = 1
    SHORTS = 2
    SKIRT = 3


class ObjectType(Number):
    """Types of the object that an event is most similar to."""

    FACE = 0
    EVENT = 1
