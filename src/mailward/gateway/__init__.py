"""The way of a mail: parse, assess, decide, mark, remember. The one place where the rooms meet."""

from mailward.gateway.gateway import Gateway, Judgement
from mailward.gateway.settings import Settings, SettingsError

__all__ = ["Gateway", "Judgement", "Settings", "SettingsError"]
