"""A bar that says how far something is."""

import html


def progress_bar(share: float | None, label: str = "") -> str:
    """Return the bar as HTML: `share` in [0, 1], None: not known; `label` for screen readers."""
    if share is None:
        return '<div class="progress unknown"><div></div></div>'
    percent = 100 * min(1.0, max(0.0, share))
    named = f' aria-label="{html.escape(label)}"' if label else ""
    return (
        f'<div class="progress" role="progressbar"{named} aria-valuenow="{percent:.0f}">'
        f'<div style="width: {percent:.1f}%"></div></div>'
    )
