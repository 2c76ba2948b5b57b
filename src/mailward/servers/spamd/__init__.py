"""The way in for whatever speaks to SpamAssassin's spamd: spamc, Exim, amavis and the like."""

from mailward.servers.spamd.server import SpamdServer

__all__ = ["SpamdServer"]
