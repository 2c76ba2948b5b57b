"""Our databases as DNS zones: what is asked, what is answered, what is handed to other servers. Bytes in, bytes out: no sockets here."""
