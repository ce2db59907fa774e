"""The MQTT driver: one careful connection, a private broker, and what a broker can do."""
