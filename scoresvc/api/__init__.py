"""The calls of the service, as a function from a request to a response."""
