"""What the end-to-end tests are made of. Shares no code with the server: it is the other side of the contract."""
