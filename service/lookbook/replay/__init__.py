"""Two models on the same stored inputs, for one machine or for many."""
