"""Pure scoring: (event, context, policy) -> judgements. Knows nothing of Kafka, Faust, asyncio or the clock.

One file a detector. A detector reads one source event and what is known of its person or site, and
returns what is wrong with it. It never writes, never reads a clock and never sees another tenant.
"""
