"""A client of the gateway's WebSocket feed: connects, signs in, stays connected, says what it missed.

    async with aclosing(Feed(FeedOptions(url="wss://noc.example.com", token=read_token)).events()) as events:
        async for event in events:
            ...

Knows contract v1 and nothing of the gateway's insides.
"""

from watchfloor.client.events import Connected, Disconnected, Event, Gap, Message
from watchfloor.client.feed import Feed, FeedOptions, Stream
from watchfloor.client.sequence import SequenceTracker

__all__ = [
    "Connected",
    "Disconnected",
    "Event",
    "Feed",
    "FeedOptions",
    "Gap",
    "Message",
    "SequenceTracker",
    "Stream",
]
