"""A button that changes between light and dark, and remembers it in this browser."""

import streamlit as st

from app import state

# Streamlit reads its theme from this key of the page's path when the page loads.
_JS = """
export default function ({ parentElement, data, setTriggerValue }) {
  const button = parentElement.querySelector("button");
  const scheme = getComputedStyle(document.querySelector(".stApp")).colorScheme;
  const dark = scheme.includes("dark");
  button.textContent = dark ? "\\u2600" : "\\u263E";
  button.title = dark ? "Change to light" : "Change to dark";
  button.setAttribute("aria-label", button.title);
  button.onclick = () => {
    const base = new URL(document.baseURI).pathname.replace(/[^/]*$/, "");
    const theme = JSON.stringify(dark ? "Light" : "Dark");
    for (const page of data.pages) localStorage.setItem(`stActiveTheme-${base}${page}-v2`, theme);
    localStorage.setItem(`stActiveTheme-${location.pathname}-v2`, theme);
    location.reload();
  };
  // Where the system's theme changes the page's, the charts are drawn anew in its colours.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const changed = () => setTimeout(() => setTriggerValue("changed", true), 300);
  system.addEventListener("change", changed);
  return () => system.removeEventListener("change", changed);
}
"""
_CSS = """
button {
  width: 32px; height: 32px; padding: 0; border: 1px solid var(--st-border-color);
  border-radius: 8px; background: transparent; color: var(--st-text-color);
  font: 16px/1 var(--st-font); cursor: pointer;
}
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

_component = st.components.v2.component(
    "theme_switch", html="<button type='button'></button>", css=_CSS, js=_JS
)


def theme_switch() -> None:
    """Mount the button."""
    _component(
        key="theme_switch",
        data={"pages": ["", *state.PAGES]},
        width="content",
        on_changed_change=_drawn_anew,
    )


def _drawn_anew() -> None:
    """Nothing to do: the script runs anew, and is told the theme that the page has now."""
