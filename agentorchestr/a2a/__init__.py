"""A2A over MQTT: this agent as requester, responder, card on the bus and member of a pool."""
