"""Reading the configuration and its keys again while the gateway runs."""

from .orders import EVERYTHING, Order, orders
from .reload import Count, Reload
from .watch import Changed, Watch

__all__ = ["EVERYTHING", "Changed", "Count", "Order", "Reload", "Watch", "orders"]
