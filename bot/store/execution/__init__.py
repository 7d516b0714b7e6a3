"""Who runs transactions, and in which batches."""
