"""What is known of web addresses: a rating from 0 to 100 with its reasons, or "untested". Nothing is ever fetched."""
