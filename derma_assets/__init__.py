"""From HAM10000's files to an audited, calibrated skin-lesion triage page that runs offline in a browser."""
