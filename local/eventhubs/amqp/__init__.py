"""AMQP 1.0 from the server's side: one connection, its sessions and links. Knows no event hub."""
