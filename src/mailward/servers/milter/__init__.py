"""The way in for mail servers that ask by milter: Postfix and Sendmail."""

from mailward.servers.milter.server import MilterServer

__all__ = ["MilterServer"]
