"""What a browser asks for and complains of."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

# Streamlit looks for its server below the address of the page first, which is harmless.
_PROBE = re.compile(
    r"https?://[^/]+/(data|health|advice|search|train|results|use|runs|mend)/_stcore/[\w-]+$"
)
_INSIDE = ("blob", "data", "about")  # schemes that never reach a network


class Traffic:
    """All requests, WebSockets and errors of browser contexts, from their beginning on."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.errors: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        """Take down what every page of the context does from now on."""
        context.on("request", lambda request: self.addresses.append(request.url))
        context.on("console", self._note)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("page", self._watch_sockets)

    def foreign(self, *hosts: str) -> list[str]:
        """Return the addresses that are not those of `hosts` (with their ports)."""
        split = [(urlsplit(address), address) for address in self.addresses]
        return [
            address
            for parts, address in split
            if parts.scheme not in _INSIDE and parts.netloc not in hosts
        ]

    def _watch_sockets(self, page: Page) -> None:
        page.on("websocket", lambda one: self.addresses.append(one.url))

    def _note(self, message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and not _PROBE.match(place):
            self.errors.append(f"{message.text} ({place})")
