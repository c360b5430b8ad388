"""`/openapi.json` and `/docs`: the contract, and a page that shows it. The page loads nothing from elsewhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mbaas.wire.openapi import document, errors

_STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2rem;text-transform:capitalize}details{border-bottom:1px solid #8884;padding:.3rem 0}summary{cursor:pointer}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;background:#8882;padding:.6rem;border-radius:.3rem}
.m{display:inline-block;width:4.5rem;font-weight:600}.k{float:right;opacity:.7}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
"""
_SCRIPT = """
const el=(t,p,...c)=>{const e=Object.assign(document.createElement(t),p);e.append(...c);return e};
fetch('openapi.json').then(r=>r.json()).then(d=>{
 const main=document.querySelector('main');
 for(const tag of d.tags){
  main.append(el('h2',{},tag.name));
  for(const [path,ops] of Object.entries(d.paths))for(const [method,op] of Object.entries(ops)){
   if(!op.tags.includes(tag.name))continue;
   const rows=(op.parameters||[]).map(p=>el('tr',{},el('td',{},el('code',{},p.name)),el('td',{},p.in),el('td',{},p.description||'')));
   const key=op.security.length?(op.security[0].masterKey?'master key':'application keys'):'no keys';
   main.append(el('details',{},
    el('summary',{},el('span',{className:'m'},method.toUpperCase()),el('code',{},d.servers[0].url+path),
     ' ',op.summary,el('span',{className:'k'},key)),
    el('table',{},...rows),
    el('pre',{},JSON.stringify({requestBody:op.requestBody,responses:op.responses},null,1))));
  }
 }
 main.append(el('h2',{},'values'),el('pre',{},JSON.stringify(d.components.schemas,null,1)));
 const codes=d['x-errors'].map(e=>el('tr',{},el('td',{},String(e.code)),el('td',{},e.name),el('td',{},'HTTP '+e.status)));
 main.append(el('h2',{},'error codes'),el('table',{},...codes));
});
"""
_PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>REST API</title><style>{_STYLE}</style></head><body><h1>REST API</h1><main></main><script>{_SCRIPT}</script></body></html>"""


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_POLICY = f"default-src 'none'; connect-src 'self'; script-src {_digest(_SCRIPT)}; style-src {_digest(_STYLE)}; frame-ancestors 'none'"


def routes(mount: str) -> list[Route]:
    """The routes to serve beside the mount."""
    contract = {**document(mount), "x-errors": errors()}

    async def openapi(_: Request) -> Response:
        return JSONResponse(contract)

    async def docs(_: Request) -> Response:
        return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY, "x-content-type-options": "nosniff"})

    return [Route("/openapi.json", openapi), Route("/docs", docs)]
