"""Where the pipeline runs: embedded, backfill, Kafka."""
