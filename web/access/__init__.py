"""Who may use the studio: signing in, sessions, and the guard before every request."""
