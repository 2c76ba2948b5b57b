"""Our zones on the network: UDP, TCP, zone transfers and notices to secondaries."""
