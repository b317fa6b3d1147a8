"""Choosing a recipe: trials of one idea each, measured on validation alone."""
