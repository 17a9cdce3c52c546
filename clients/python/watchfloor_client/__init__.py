"""A client of the gateway's WebSocket feed: connects, signs in, stays connected, resumes, says what it missed.

    async with aclosing(Feed(FeedOptions(url="wss://noc.example.com", token=read_token)).events()) as events:
        async for event in events:
            ...

Knows contract v1 and nothing of the gateway's insides. docs/clients.md has examples and what is promised.
"""

from watchfloor_client.events import Connected, Disconnected, Event, Gap, Message, Resumed
from watchfloor_client.feed import Feed
from watchfloor_client.options import FeedOptions, Stream
from watchfloor_client.sequence import Position, SequenceTracker

__all__ = [
    "Connected",
    "Disconnected",
    "Event",
    "Feed",
    "FeedOptions",
    "Gap",
    "Message",
    "Position",
    "Resumed",
    "SequenceTracker",
    "Stream",
]
