"""A trained model that ships with the project: written from the store, served, and recomputed from what it holds."""
