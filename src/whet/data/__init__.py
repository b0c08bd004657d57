"""Rows: reading, forms, audit, splitting, and the form of a prediction. Knows no tensors."""
