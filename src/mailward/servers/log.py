"""The log: JSON, one event a line, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def _json(event: Any, **_: Any) -> str:
    """JSON in a fifth of the time of the standard library's; what it does not know becomes its text."""
    return msgspec.json.encode(event, enc_hook=str).decode()


RENDER = structlog.processors.JSONRenderer(serializer=_json)


def configure() -> None:
    """Send the events of this program and the warnings of its libraries to standard error as JSON."""
    structlog.configure(
        processors=[*PROCESSORS, structlog.processors.EventRenamer("event"), RENDER],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *PROCESSORS],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, RENDER],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
