"""AMQP 1.0, server side: one connection, its sessions and links. Independent of event hubs."""
