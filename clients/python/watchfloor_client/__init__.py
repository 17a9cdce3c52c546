"""A client of Watchfloor's live feed: connects, signs in, stays connected, resumes, and says what it missed.

    async with aclosing(Feed(FeedOptions(url="wss://noc.example.com", token=read_token)).events()) as events:
        async for event in events:
            ...

Knows contract v1 (`contract`) and nothing of the gateway's insides. `readers` is for programs that read the
feed's Kafka topic instead.
"""

from watchfloor_client.errors import AddressError, FeedError, RefusedError
from watchfloor_client.events import Connected, Disconnected, Event, Gap, Message, Resumed
from watchfloor_client.feed import Feed
from watchfloor_client.options import FeedOptions, Stream
from watchfloor_client.sequence import Position, SequenceTracker

__all__ = [
    "AddressError",
    "Connected",
    "Disconnected",
    "Event",
    "Feed",
    "FeedError",
    "FeedOptions",
    "Gap",
    "Message",
    "Position",
    "RefusedError",
    "Resumed",
    "SequenceTracker",
    "Stream",
]
