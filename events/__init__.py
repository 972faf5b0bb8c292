"""The vocabulary: everything that can happen, and how it is written and read.

``decode`` turns any payload of modelog's streams and subjects into its struct; no network is
touched.
"""

from events.codec import BrokenEvent, Event, FactEvent, UnknownEvent, decode, encode, tag_of, types
from events.envelope import Message, Recorded, seal
from events.record import Change, Lifecycle, ModelRecord

__all__ = [
    "BrokenEvent",
    "Change",
    "Event",
    "FactEvent",
    "Lifecycle",
    "Message",
    "ModelRecord",
    "Recorded",
    "UnknownEvent",
    "decode",
    "encode",
    "seal",
    "tag_of",
    "types",
]
