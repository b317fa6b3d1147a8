"""What one may do with a released model."""

HAM10000_LICENCE = """\
# Licence of the released model

The files in this folder were made by training on HAM10000, and are under its licence: **Creative Commons
Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)**, https://creativecommons.org/licenses/by-nc/4.0/. That
is: not for commercial use, and whoever passes them on, changed or not, names the source and says what was changed. The
page inside `bundle.tar.xz`, without the model, is the project's code and the libraries it uses, under their own
licences.

Attribution:

> Tschandl P., Rosendahl C., Kittler H. The HAM10000 dataset, a large collection of multi-source dermatoscopic images of
> common pigmented skin lesions. Scientific Data 5, 180161 (2018). https://doi.org/10.1038/sdata.2018.161
> Data: https://doi.org/10.7910/DVN/DBW86T

What was changed: a small neural network was trained on the pictures. There are none of them in this folder; it holds
the model, what it says of the pictures held out (by their public identifiers), and figures computed from that.

**Decision support, not a diagnosis.** The model is no medical device, was tested on pictures of the same collection
only, and comes without any warranty. What it does badly is in the metrics beside this file.
"""
