"""What a message pretends to be. Pure: values in, values out."""
