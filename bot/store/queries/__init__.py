"""The statements of reads and transactions."""
