"""Configuration: the TOML file or the environment, checked as a whole, turned into frozen Settings.

`schema` says which keys exist, `load` is the way in, `settings` is what comes out.
"""

from .discover import find_config
from .load import default_settings, load_settings, with_demo
from .problems import ConfigError, Problem, Severity
from .secret import Secret
from .settings import (
    AuthSettings,
    LimitSettings,
    ListenAddress,
    ListenerSettings,
    LoggingSettings,
    ProviderSettings,
    ProxySettings,
    ResponsesSettings,
    RouteSettings,
    ServerSettings,
    Settings,
    Timeouts,
)

__all__ = [
    "AuthSettings",
    "ConfigError",
    "LimitSettings",
    "ListenAddress",
    "ListenerSettings",
    "LoggingSettings",
    "Problem",
    "ProviderSettings",
    "ProxySettings",
    "ResponsesSettings",
    "RouteSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "Severity",
    "Timeouts",
    "default_settings",
    "find_config",
    "load_settings",
    "with_demo",
]
