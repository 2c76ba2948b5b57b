"""Addresses inside attachments. Pure: bytes in, addresses and findings out; what runs it sets limits of time and memory.

`examine.examine` looks into them; it loads the libraries for that, so it is not imported here.
"""

from mailward.message.attachments.attachment import Attachment, Examined, Question, worth

__all__ = ["Attachment", "Examined", "Question", "worth"]
