"""A face for a2a-hub clients: they connect by WebSocket, and are agents of the bus like any other."""
