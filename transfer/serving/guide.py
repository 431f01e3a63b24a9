"""The page /docs: what can be asked, drawn from OpenAPI. It loads nothing from elsewhere."""

import html
from typing import Any

_LINES = """\
curl http://ADDRESS/models
curl --data-binary @photo.jpg http://ADDRESS/models/NAME/predict
curl -F file=@one.jpg -F file=@two.jpg http://ADDRESS/models/NAME/predict"""

_STYLE = """\
body { font: 16px/1.5 sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8884; border-radius: 8px; }
h2 { font: 600 1rem monospace; margin-top: 2rem; } td { padding-right: 1rem; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { background: #17181b; color: #eceae4; } a { color: #a9b2ff; } }"""


def page(described: dict[str, Any]) -> str:
    """Return the page for an OpenAPI description."""
    parts = "".join(
        _operation(method, path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    )
    info = described["info"]
    title = html.escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{html.escape(info['description'])}</p><pre>{_LINES}</pre>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a> (OpenAPI).</p>'
        f"{parts}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {})
    taken = f"<p>{html.escape(body['description'])}</p>" if body else ""
    rows = "".join(
        f"<tr><td>{html.escape(status)}</td><td>{html.escape(_meaning(answer))}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f"<h2>{html.escape(method.upper())} {html.escape(path)}</h2>"
        f"<p>{html.escape(operation.get('description', ''))}</p>{taken}<table>{rows}</table>"
    )


def _meaning(answer: dict[str, Any]) -> str:
    shape = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = str(shape.get("$ref", "")).rpartition("/")[2]
    return name if answer["description"] == "Successful Response" else answer["description"]
