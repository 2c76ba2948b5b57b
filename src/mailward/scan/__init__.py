"""The judgement: `assess` finds facts, `decide` applies a policy to them, and the rest says why. Everything here is pure."""

from mailward.scan.answer import to_json, to_object
from mailward.scan.assess import Model, Site, assess
from mailward.scan.assessment import Assessment, Contribution, RatedUrl, SenderIp
from mailward.scan.counterfactual import Counterfactual, counterfactuals
from mailward.scan.decide import decide
from mailward.scan.explain import Explanation, explain
from mailward.scan.replay import Replay, replay
from mailward.scan.reply import reply
from mailward.scan.verdict import Hit, Kind, Reason, Verdict

__all__ = [
    "Assessment",
    "Contribution",
    "Counterfactual",
    "Explanation",
    "Hit",
    "Kind",
    "Model",
    "RatedUrl",
    "Reason",
    "Replay",
    "SenderIp",
    "Site",
    "Verdict",
    "assess",
    "counterfactuals",
    "decide",
    "explain",
    "replay",
    "reply",
    "to_json",
    "to_object",
]
