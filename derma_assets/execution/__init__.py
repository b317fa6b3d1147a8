"""Where the steps of a run are computed: in one process, in several, on several hosts, or on Kubernetes."""
