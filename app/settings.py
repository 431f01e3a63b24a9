"""How the web server is set up, and how the pages are coloured."""

from typing import Any

DEFAULT_PORT = 8501
LOCALHOST = "127.0.0.1"

_SHARED = {
    "baseRadius": "8px",
    "buttonRadius": "8px",
    "showWidgetBorder": True,
    "baseFontSize": 16,
    "headingFontSizes": ["2rem", "1.25rem", "1rem"],
    "headingFontWeights": [650, 600, 600],
    "font": "sans-serif",
}
_LIGHT = {
    "primaryColor": "#3b4cc0",
    "backgroundColor": "#fdfdfb",
    "secondaryBackgroundColor": "#f3f2ee",
    "textColor": "#23262b",
    "borderColor": "#dcdad3",
    "linkColor": "#3b4cc0",
}
_DARK = {
    "primaryColor": "#5b69e3",
    "backgroundColor": "#17181b",
    "secondaryBackgroundColor": "#212327",
    "textColor": "#eceae4",
    "borderColor": "#3a3d43",
    "linkColor": "#a9b2ff",
}


def streamlit_settings(address: str, port: int, headless: bool | None) -> dict[str, Any]:
    """Return Streamlit's settings: bound to `address` only, nothing sent anywhere."""
    values: dict[str, Any] = {
        "server.address": address,
        "server.port": port,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": 64,  # of one picture; data sets have a route of their own
        "server.showEmailPrompt": False,
        "server.enableStaticServing": False,
        "server.disconnectedSessionTTL": 120,
        "logger.hideWelcomeMessage": True,  # the server has words of its own
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "client.showSidebarNavigation": False,
        "browser.gatherUsageStats": False,
        "runner.magicEnabled": False,
        "runner.postScriptGC": False,  # a fifth of what watching costs; the server sweeps itself
    }
    if headless is not None:
        values["server.headless"] = headless
    if address == LOCALHOST:
        # No other name leads here: not one that a foreign page made point to this machine either.
        values["server.allowedHosts"] = ["localhost", LOCALHOST]
    else:
        values["browser.serverAddress"] = "localhost"
    values |= {f"theme.{key}": value for key, value in _SHARED.items()}
    values |= {f"theme.light.{key}": value for key, value in _LIGHT.items()}
    values |= {f"theme.dark.{key}": value for key, value in _DARK.items()}
    return values
