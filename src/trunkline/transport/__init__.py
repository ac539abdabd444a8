"""What moves bytes for a driver: sockets, pools, TLS and proxies, blocking and asynchronous."""
