"""The Jupyter server's packages: one hashed lock per Python minor, and the script that makes them."""
