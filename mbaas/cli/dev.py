"""`mbaas dev`: what a developer needs to see before the first line of her app, then the server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mbaas import __version__, settings
from mbaas.cli.keys import FILE, kept_keys
from mbaas.cli.serve import listen, run
from mbaas.configuration import Configuration, configure
from mbaas.kernel.options import AppOptions
from mbaas_auth.staff.people import first_token, link

HERE, PHONES, EMULATOR = "this machine", "phones", "Android emulator"
FUNCTIONS = Path("functions")
"""Where a project has its cloud functions, unless MBAAS_FUNCTIONS says otherwise."""
FROM_EMULATOR = "10.0.2.2"
"""The Android emulator's name for the machine that it runs on."""


def dev(parse_config: Path | None) -> None:
    """Serve for development; keys are made, and kept in the data dir, only where none are given."""
    found = settings.read()
    if found.functions is None and (FUNCTIONS / "main.py").is_file():
        found = found.model_copy(update={"functions": FUNCTIONS})
    wanted = not (found.app_id and found.master_key) and not found.apps_file and not parse_config
    kept = kept_keys(found.data_dir) if wanted else {}
    configuration = configure(found, preset="development", parse_config=parse_config, keys=kept)
    listeners = listen(configuration.server)
    configuration = configuration.listening_on(listeners[0].getsockname()[1])
    greet(Console(highlight=False, soft_wrap=True), configuration, keys_made=bool(kept))
    run(configuration, listeners)


def greet(console: Console, configuration: Configuration, *, keys_made: bool) -> None:
    """Print the addresses, the keys and a snippet for each SDK."""
    server = configuration.server
    console.print(f"\n[bold]mbaas {__version__}[/]  {configuration.apps[0].preset}, data in {server.data_dir}\n")
    reach = reachable(server.host)
    for app in configuration.apps:
        for label, address in reach.items():
            _row(console, label, f"http://{address}:{server.port}{app.mount}")
        if _is_loopback(server.host):
            _row(console, PHONES, f"cannot reach {server.host}", "  start with MBAAS_HOST=0.0.0.0 to let them")
        _row(console, "application id", app.app_id)
        _row(console, "master key", app.master_key, "  for servers and consoles only, never in an app")
        here = app if app.public_url_given else replace(app, public_url=f"http://{reach[HERE]}:{server.port}")
        _row(console, "console", link(here, first_token(app)), "  the first owner's link; afterwards /console")
        if app.functions is not None:
            _row(console, "cloud functions", str(app.functions / "main.py"), "  reloaded when saved")
        if keys_made:
            _row(console, "kept in", str(server.data_dir / FILE))
        console.print()
    app = configuration.apps[0]
    for language, code in snippets(app, reach, server.port).items():
        console.print(Text(language, style="bold"))
        console.print(Text("\n".join("  " + line for line in code.splitlines()), style="cyan"))
        console.print()


def _row(console: Console, label: str, value: str, note: str = "") -> None:
    console.print(Text.assemble(f"  {label:<18}", (value, "green"), (note, "dim")))


def reachable(host: str) -> dict[str, str]:
    """By whom the server can be reached, and where."""
    if host in ("0.0.0.0", "::"):
        lan = lan_address()
        return {HERE: "localhost", **({PHONES: lan} if lan else {}), EMULATOR: FROM_EMULATOR}
    if _is_loopback(host):
        return {HERE: "[::1]" if host == "::1" else "localhost", EMULATOR: FROM_EMULATOR}
    address = f"[{host}]" if ":" in host else host
    return {HERE: address, PHONES: address, EMULATOR: address}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lan_address() -> str | None:
    """This machine's IPv4 address on the way out. Connecting a datagram socket sends nothing: it only picks the route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that is reserved for documentation
            address = str(probe.getsockname()[0])
        except OSError:
            return None
    return None if address.startswith("127.") else address


def snippets(app: AppOptions, reach: Mapping[str, str], port: int) -> dict[str, str]:
    """The first lines of an app in each language, with addresses and keys filled in."""
    here = reach[HERE]
    near, far, emulator = (f"http://{host}:{port}{app.mount}" for host in (here, reach.get(PHONES, here), reach[EMULATOR]))
    on_a_phone = f"  // on a phone: {far}/" if PHONES in reach else ""
    client, script = app.client_key, app.javascript_key
    swift_key = f', clientKey: "{client}"' if client else ""
    dart_key = f', clientKey: "{client}"' if client else ""
    kotlin_key = f'\n    .clientKey("{client}")' if client else ""
    return {
        "JavaScript": (
            'import Parse from "parse/node";  // in a browser: "parse"\n'
            f'Parse.initialize("{app.app_id}"{f", {script!r}" if script else ""});\n'
            f'Parse.serverURL = "{near}";\n'
            'const note = await new Parse.Object("Note").save({ text: "hello" });'
        ),
        "Swift": (
            "import ParseSwift\n"
            f'ParseSwift.initialize(applicationId: "{app.app_id}"{swift_key},\n'
            f'                      serverURL: URL(string: "{far}")!)'
        ),
        "Kotlin": (
            f'Parse.initialize(Parse.Configuration.Builder(this)\n    .applicationId("{app.app_id}"){kotlin_key}\n'
            f'    .server("{emulator}/"){on_a_phone}\n    .build())'
        ),
        "Dart": f'await Parse().initialize("{app.app_id}", "{far}"{dart_key});',
    }
