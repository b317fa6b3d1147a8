"""The model card: everything that is known of the model, on one page that a reviewer can read, print and sign."""
