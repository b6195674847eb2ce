"""Events → the panel of hosts and days that go-live uplift is learnt from, each row as it was known before its day."""

from graphrep.panel.build import panel_rows
from graphrep.panel.clock import REFUSED, first_decision
from graphrep.panel.signals import DELIVERED

__all__ = ["DELIVERED", "REFUSED", "first_decision", "panel_rows"]
