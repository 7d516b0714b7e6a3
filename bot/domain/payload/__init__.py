"""A payload as labelled parts that every surface renders: what will be done, readable; pure."""
