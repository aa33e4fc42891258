"""Keys of clients: how they are made and kept, and how every process comes to know of a change."""
