"""From texts to tensors: tokenising with a ledger, the order of rows, flat batches."""
