"""What keeps the service running: listeners, processes, signals."""
