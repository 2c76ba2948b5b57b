"""What this organisation knows of those who write to it: correspondents, conversations and names of its own people, as digests."""
