"""The stream processor: Faust agents over micro-batches, per-tenant tables, the anomalies feed."""
