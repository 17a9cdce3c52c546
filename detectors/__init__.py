"""The detectors: pure functions (state, event, policy) -> (state, findings) without Kafka, Faust, asyncio or a clock.

One file each, in a folder by subject; `detectors.interface` defines what a detector is, `detectors.registry` finds
them. A detector reads one event, its own state of one entity and the policy in effect there, and returns what is
wrong. It never writes, never reads a clock and never sees another tenant.
"""
