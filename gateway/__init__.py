"""The WebSocket gateway: reads the feed's log and shows each viewer what it may see, live."""
