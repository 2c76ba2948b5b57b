"""The way in for whatever speaks rspamd's HTTP protocol: rspamc, Haraka, sieve scripts."""

from mailward.servers.http.server import HttpServer

__all__ = ["HttpServer"]
