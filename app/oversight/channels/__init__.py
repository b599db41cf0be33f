"""The ways to tell people of alerts, one file each: `opened(settings)` gives what sends, or None where none is set.

A channel sends a `Letter` to an address and raises when it cannot know that it was taken. It holds no words of any
conversation: who may read them follows the link and signs in.
"""

from collections.abc import Callable, Mapping

from app.foundation.settings import Settings
from app.oversight.channels import mail, robot, webhook, wecom
from app.oversight.letters import Letter

Send = Callable[[str, Letter], None]
SHARED = frozenset({webhook.NAME, robot.NAME})  # one receiver for all, set by the operator
CHANNELS = {each.NAME: each.opened for each in (wecom, mail, webhook, robot)}


def opened(settings: Settings) -> Mapping[str, Send]:
    """Every channel that the settings make usable."""
    found = {name: make(settings) for name, make in CHANNELS.items()}
    return {name: send for name, send in found.items() if send is not None}


__all__ = ["CHANNELS", "SHARED", "Send", "opened"]
