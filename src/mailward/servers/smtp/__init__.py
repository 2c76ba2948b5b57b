"""The SMTP way in: a proxy between a client and the next hop."""

from mailward.servers.smtp.server import SmtpServer
from mailward.servers.smtp.service import Service

__all__ = ["Service", "SmtpServer"]
