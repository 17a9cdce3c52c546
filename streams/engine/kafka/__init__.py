"""Everything that speaks to Kafka or Faust: fetching, appending, transactions, the transport."""
