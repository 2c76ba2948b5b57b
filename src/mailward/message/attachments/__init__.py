"""Addresses inside attachments. Pure: bytes in, addresses and findings out; what runs it sets limits of time and memory."""

from mailward.message.attachments.attachment import Attachment, Examined, worth
from mailward.message.attachments.examine import examine

__all__ = ["Attachment", "Examined", "examine", "worth"]
