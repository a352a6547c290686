"""The API, or any WSGI application, as JSON over TCP."""
