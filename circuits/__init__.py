"""What is proven: networks, test sets, commitments, the statement, each backend's circuit."""
