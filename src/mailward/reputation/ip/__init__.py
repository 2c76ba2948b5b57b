"""How addresses come to be listed: the dynamic database, the standard database, and what keeps both."""
