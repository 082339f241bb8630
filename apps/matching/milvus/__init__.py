"""Copies of lists in Milvus, a vector database on machines of its own."""
