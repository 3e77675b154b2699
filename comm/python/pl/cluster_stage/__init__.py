"""A stage in a cluster: what the commands do there, put together from cluster, images and release."""
