"""WebSockets and HTTP: listening, handshakes, one shell for each connection."""
