"""The life of a service: settings, clients, health, start and drain."""
