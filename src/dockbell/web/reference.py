"""The description of API v2: `/openapi.json`, and a page for people that loads nothing from elsewhere."""

import copy
import html
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from dockbell.observability.versions import version

_PAGE = "/api/v2/docs"
_INNER = "/openapi"
# The framework answers every unknown address beside its descriptions with a page of its own. So they have a
# folder to themselves, and the addresses that people use lead there.
ADDRESSES = {"/openapi.json": f"{_INNER}/json", _PAGE: f"{_INNER}/page"}
_REFUSALS = {
    "400": "The request is not right; `errors` names the fields.",
    "401": "There is no good token.",
    "403": "The right or the token's scope does not reach.",
    "404": "There is nothing here that the caller may see.",
    "409": "It is at odds with the present state; `type` and `detail` say why.",
}
_LIVE = f"{_PAGE.removesuffix('/docs')}/live"
_TOO_MANY = {"429": "There are too many streams; `Retry-After` says when to come again."}
# What reads its body itself, because that may be large.
_LARGE = {
    "413": "The body is too large.",
    "415": "The body is not `application/json`.",
    "429": "Too many large bodies are being read. Send this again in a few seconds.",
}
_TAKE_LARGE = ("/feeds/{feed_id}", "/scans")
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "required": ["detail", "status", "title", "type"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_STATUS = re.compile(r"\b(20[0-9])\b")


def described(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The framework's description with our words: names without Python in them, and our errors."""
    text = re.sub(r"Page_[\w.]*?(\w+)_(?=\")", r"PageOf\1", json.dumps(copy.deepcopy(schema)))
    ours: dict[str, Any] = json.loads(text)
    ours["components"]["schemas"]["Problem"] = _PROBLEM
    for path, verb, operation in operations(ours):
        about = operation.pop("description", "")
        operation["summary"] = about
        refusals = _REFUSALS | (_TOO_MANY if path == _LIVE else {})
        if verb == "post" and path.endswith(_TAKE_LARGE):
            refusals = refusals | _LARGE
        for code, why in refusals.items():
            if code != "409" or verb in {"post", "put", "patch", "delete"}:
                operation["responses"][code] = {
                    "description": why,
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": "#/components/schemas/Problem"}
                        }
                    },
                }
        statuses = [code for code in operation["responses"] if code.startswith("2")]
        first = operation["responses"][statuses[0]]
        first["description"] = about
        for other in set(_STATUS.findall(about)) - set(statuses):
            operation["responses"][other] = first  # such as: 202 if it is still on its way
    return ours


def operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, verb and operation of everything that is described."""
    for path, item in schema["paths"].items():
        for verb, operation in item.items():
            if isinstance(operation, dict):
                yield path, verb, operation


class _Json(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del request
        return json.dumps(described(openapi_schema)).encode()


class _Html(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del request
        return _page(json.dumps(described(openapi_schema)))


def _operation_id(handler: HTTPRouteHandler, method: Any, path: Any) -> str:
    del method, path
    return handler.handler_name


CONFIG = OpenAPIConfig(
    title="dockbell",
    version=version(),
    description="Every event, every delivery, every try. Quay's own API is described at /api/v1/discovery.",
    path=_INNER,
    use_handler_docstrings=True,
    operation_id_creator=_operation_id,
    render_plugins=[_Json(path="/json"), _Html(path="/page")],
    components=Components(
        security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}
    ),
    security=[{"bearer": []}],
)

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h3{margin:1.5rem 0 .2rem;font-size:1rem}
code{font:14px ui-monospace,monospace}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;border-bottom:1px solid #ddd}a{color:#0b57d0}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}a{color:#8ab4f8}td,th,h2{border-color:#444}}
"""


@lru_cache(maxsize=2)
def _page(described_text: str) -> bytes:
    """The page. It needs no script, and loads nothing."""
    schema = json.loads(described_text)
    title = html.escape(f"{schema['info']['title']} API v2")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<link rel="icon" href="data:,">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        f"<p>{html.escape(schema['info']['description'])} ",
        'For programs: <a href="/openapi.json">openapi.json</a>. ',
        "Send <code>Authorization: Bearer …</code> with a token of the scope <code>repo:admin</code>.</p>",
    ]
    noun = None
    for path, verb, operation in operations(schema):
        first = path.removeprefix("/api/v2/").partition("/")[0]
        if first != noun:
            noun = first
            parts.append(f"<h2>{html.escape(noun.capitalize())}</h2>")
        parts += _operation(path, verb, operation)
    parts.append("<h2>Objects</h2>")
    for name, one in sorted(schema["components"]["schemas"].items()):
        parts += _object(name, one)
    parts.append("</body></html>")
    return "".join(parts).encode()


def _operation(path: str, verb: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{html.escape(operation["operationId"])}"><code>{verb.upper()} {html.escape(path)}</code></h3>'
    yield f"<p>{_marked(operation['summary'])}"
    body = operation.get("requestBody")
    if body is not None:
        yield f" Body: {_type_of(next(iter(body['content'].values()))['schema'])}."
    for code, answer in operation["responses"].items():
        if code.startswith("2"):
            content = answer.get("content")
            what = _type_of(next(iter(content.values()))["schema"]) if content else "nothing"
            yield f" {code}: {what}."
    yield "</p>"
    parameters = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
    if parameters:
        yield "<table><tbody>"
        for one in parameters:
            yield (
                f"<tr><td><code>{html.escape(one['name'])}</code></td><td>{_type_of(one['schema'])}</td>"
                f"<td>{_marked(one.get('description', ''))}</td></tr>"
            )
        yield "</tbody></table>"


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="object-{html.escape(name)}">{html.escape(name)}</h3>'
    if "properties" not in schema:
        yield f"<p>{_type_of(schema)}</p>"
        return
    required = schema.get("required", ())
    yield "<table><tbody>"
    for key, inner in schema["properties"].items():
        may = "" if key in required else " (may be left out)"
        yield f"<tr><td><code>{html.escape(key)}</code></td><td>{_type_of(inner)}{may}</td></tr>"
    yield "</tbody></table>"


def _type_of(schema: Mapping[str, Any]) -> str:
    """A type in words, with links to objects."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#object-{name}">{name}</a>'
    if "oneOf" in schema:
        return " or ".join(_type_of(one) for one in schema["oneOf"])
    if "enum" in schema:
        return " or ".join(
            f"<code>{html.escape(json.dumps(one))}</code>" for one in schema["enum"]
        )
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    kind = schema.get("type", "any value")
    return html.escape(str(schema.get("format") or kind))


def _marked(text: str) -> str:
    """Text whose parts in backticks become code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))
