"""What arrived: bytes to a frozen Message."""

from mailward.message.model import Address, Envelope, Finding, Header, Hidden, Hop, Html, Link, Message, Part
from mailward.message.parse import parse

__all__ = ["Address", "Envelope", "Finding", "Header", "Hidden", "Hop", "Html", "Link", "Message", "Part", "parse"]
