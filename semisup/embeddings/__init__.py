"""What losses compute of batches of embeddings: types, labels, similarities, walks in blocks."""
