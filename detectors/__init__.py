"""Pure scoring: (state, event, policy) -> (state, judgements). Knows nothing of Kafka, Faust, asyncio or the clock.

One file a detector; `detectors.interface` says what one is, `detectors.registry` lists them. A detector reads
one source event, its own memory of one entity and the policy that holds there, and returns what is wrong. It
never writes, never reads a clock and never sees another tenant.
"""
