"""What a message says: features, the shipped model, and a spam score that is the sum of its contributions."""
