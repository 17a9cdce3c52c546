"""The micro-batch engine: fetches, orders, journals, recovers; knows nothing of tenants or detectors.

A partition is a replicated state machine. Its journal says what each micro-batch consisted of; its state
is a deterministic function of the journal and the source topics. Per micro-batch the journal entry and
the outputs are acknowledged first, then one RecordBatch on the changelog holds the changed keys together
with the position. After a crash the engine loads the state, runs the journalled micro-batches after its
position again, and keeps back what the output topics already have.
"""
