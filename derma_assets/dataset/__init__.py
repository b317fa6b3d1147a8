"""From files to arrays: the validated metadata, the manifest of pictures, and the pixels that the model sees."""
