"""`/openapi.json` and `/docs`: the contract, and a page that shows it. The page loads nothing from elsewhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mbaas.wire.openapi import document, errors

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif;--line:#8884;--soft:#8881;
--get:#1668c7;--post:#1a7f4b;--put:#a05a00;--delete:#c02b2b}
@media(prefers-color-scheme:dark){:root{--get:#6db3f8;--post:#5fd08f;--put:#e8a64c;--delete:#f08080}}
*{box-sizing:border-box}html{scroll-padding-top:1rem}body{margin:0}a{color:inherit}
nav{position:fixed;inset:0 auto 0 0;width:13rem;overflow:auto;padding:1.2rem;border-right:1px solid var(--line)}
nav a{display:block;padding:.12rem 0;text-decoration:none;text-transform:capitalize}nav a:hover{text-decoration:underline}
nav input{width:100%;margin-bottom:.8rem;padding:.35rem .5rem;font:inherit;border:1px solid var(--line);border-radius:.3rem}
main{margin-left:13rem;padding:1.2rem 2rem 4rem;max-width:64rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .5rem;text-transform:capitalize}
h3{font-size:.8rem;margin:1rem 0 .3rem;text-transform:uppercase;letter-spacing:.05em;opacity:.7}
h4{font:600 .95rem/1.5 ui-monospace,monospace;margin:1.2rem 0 .2rem}p{margin:.3rem 0}
details{border:1px solid var(--line);border-radius:.4rem;margin:.35rem 0}details>div{padding:0 1rem 1rem}
summary{display:flex;gap:.8rem;align-items:baseline;cursor:pointer;padding:.45rem .8rem;list-style:none}
summary::-webkit-details-marker{display:none}summary:hover,details[open]>summary{background:var(--soft)}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}p code,td code{background:var(--soft);padding:.05em .3em;border-radius:.2rem}
.m{flex:0 0 4rem;font:600 .8rem ui-monospace,monospace}.s{flex:1;opacity:.75;text-align:right}
.k{flex:0 0 auto;font-size:.75rem;border:1px solid var(--line);border-radius:1rem;padding:0 .6rem}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.delete{color:var(--delete)}
table{border-collapse:collapse;width:100%;font-size:.92rem}
td,th{padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
th{font-weight:600;border-top:0}td:first-child{white-space:nowrap;width:14rem}
@media(max-width:50rem){nav{position:static;width:auto;border:0}nav a{display:inline-block;margin-right:.8rem}main{margin:0;padding:1rem}
td:first-child{width:auto}summary{flex-wrap:wrap;gap:.2rem .8rem}.s{flex-basis:100%;text-align:left}}
"""
_SCRIPT = """
const el=(tag,has,...inside)=>{const made=Object.assign(document.createElement(tag),has);made.append(...inside);return made};
const prose=text=>(text||'').split('`').map((part,i)=>i%2?el('code',{},part):part);
const table=(heads,rows)=>el('table',{},el('tr',{},...heads.map(h=>el('th',{},h))),
 ...rows.map(cells=>el('tr',{},...cells.map(cell=>el('td',{},...[cell].flat())))));
const last=ref=>ref.split('/').pop();
const kind=schema=>{
 if(schema.$ref)return [el('a',{href:'#'+last(schema.$ref)},last(schema.$ref))];
 if('const' in schema)return [el('code',{},JSON.stringify(schema.const))];
 if(schema.type==='array')return ['list of ',...kind(schema.items)];
 if(schema.properties)return ['object of ',...Object.keys(schema.properties).flatMap((name,i)=>[i?', ':'',el('code',{},name)])];
 if(schema.format==='binary')return ['bytes'];
 return [schema.pattern?'date and time, as 2026-01-31T12:00:00.000Z':schema.type||'any value'];
};
const content=held=>Object.entries(held||{}).flatMap(([type,{schema}],i)=>[i?'; ':'',...kind(schema),type==='*/*'?'':' as '+type]);
const answers=(responses,shared)=>Object.entries(responses).map(([status,given])=>{
 const answer=given.$ref?shared[last(given.$ref)]:given;
 return [el('code',{},status),prose(answer.description),content(answer.content)];
});
const keys=op=>!op.security.length?'no keys':op.security[0].masterKey?'master key':'app keys';
const operation=(d,path,method,op)=>{
 const inside=el('div',{});
 if(op.parameters.length)inside.append(el('h3',{},'Parameters'),table(['name','in','meaning'],
  op.parameters.map(p=>[el('code',{},p.name),p.in,prose(p.description||(p.required?'needed':''))])));
 if(op.requestBody)inside.append(el('h3',{},'Body'),el('p',{},...content(op.requestBody.content)));
 inside.append(el('h3',{},'Answers'),table(['status','meaning','body'],answers(op.responses,d.components.responses)));
 return el('details',{id:op.operationId},el('summary',{},el('span',{className:'m '+method},method.toUpperCase()),
  el('code',{},(op.servers?'':d.servers[0].url)+path),el('span',{className:'s'},op.summary),el('span',{className:'k'},keys(op))),inside);
};
const value=(name,schema)=>{
 const made=[el('h4',{id:name},name)];
 if(schema.description)made.push(el('p',{},...prose(schema.description)));
 if(schema.properties)made.push(table(['key','value'],Object.entries(schema.properties).map(([key,inner])=>[el('code',{},key),kind(inner)])));
 else made.push(el('p',{},...kind(schema)));
 return made;
};
fetch('openapi.json').then(answer=>answer.json()).then(d=>{
 const main=document.querySelector('main'),nav=document.querySelector('nav'),find=el('input',{type:'search',placeholder:'Find a route'});
 const section=(name,...inside)=>{
  const id='section-'+name.replaceAll(' ','-');
  nav.append(el('a',{href:'#'+id},name));main.append(el('section',{},el('h2',{id},name),...inside));
 };
 nav.append(find);
 for(const {name} of d.tags)section(name,...Object.entries(d.paths).flatMap(([path,ops])=>
  Object.entries(ops).filter(([,op])=>op.tags.includes(name)).map(([method,op])=>operation(d,path,method,op))));
 section('values',...Object.entries(d.components.schemas).flatMap(([name,schema])=>value(name,schema)));
 section('error codes',table(['code','name','status'],d['x-errors'].map(e=>[el('code',{},String(e.code)),e.name,'HTTP '+e.status])));
 find.oninput=()=>{for(const row of main.querySelectorAll('details'))
  row.hidden=!row.querySelector('summary').textContent.toLowerCase().includes(find.value.toLowerCase())};
});
"""
_PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>REST API</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head><body><nav></nav><main><h1>REST API</h1>
<p>Keys go into headers: <code>X-Parse-Application-Id</code> names the app, <code>X-Parse-REST-API-Key</code> is needed where the server
has one, <code>X-Parse-Session-Token</code> says who is signed in, <code>X-Parse-Master-Key</code> opens what only it may.
The same for machines: <a href="openapi.json">openapi.json</a>.</p></main><script>{_SCRIPT}</script></body></html>"""


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; connect-src 'self'; img-src data:; script-src {_digest(_SCRIPT)}; style-src {_digest(_STYLE)}; "
    "base-uri 'none'; frame-ancestors 'none'"
)
NOSNIFF = {"x-content-type-options": "nosniff"}


def routes(mount: str) -> list[Route]:
    """The routes to serve beside the mount."""
    contract = {**document(mount), "x-errors": errors()}

    async def openapi(_: Request) -> Response:
        return JSONResponse(contract, headers=NOSNIFF)

    async def docs(_: Request) -> Response:
        return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY, "referrer-policy": "no-referrer", **NOSNIFF})

    return [Route("/openapi.json", openapi), Route("/docs", docs)]
