"""Access to the studio: sign-in, sessions, and the guard before every request."""
