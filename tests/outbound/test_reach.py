"""Where the server may call: the probes of an attacker who chooses a URL, or what a name stands for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from mbaas.outbound.calls import Failed, Outbound, Reply
from mbaas.outbound.client import Client
from mbaas.outbound.reach import Forbidden, Reach

PROBES = """
https://127.0.0.1/ https://127.1/ https://127.0.0.1./ https://2130706433/ https://0x7f000001/ https://0x7f.1/ https://017700000001/
https://0/ https://0.0.0.0/ https://[::]/ https://[::1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::127.0.0.1]/
https://[64:ff9b::7f00:1]/ https://[64:ff9b:1::1]/ https://[2002:7f00:1::]/ https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/
https://[fe80::1]/ https://[fe80::1%25eth0]/ https://[fec0::1]/ https://[fd00:ec2::254]/ https://[ff02::1]/ https://[2001:db8::1]/
https://10.0.0.1/ https://172.16.0.1/ https://192.168.1.1/ https://100.64.0.1/ https://169.254.169.254/ https://192.0.0.8/
https://192.0.2.1/ https://198.18.0.1/ https://224.0.0.1/ https://240.0.0.1/ https://255.255.255.255/
http://example.com/ https://example.com:22/ https://example.com:80/ https://user@example.com/ https://user:word@example.com/
https://example.com/#part https://example.com./ https://exa\u00b5ple.com/ https://example.com\\@127.0.0.1/ https:///path https://
ftp://example.com/ file:///etc/passwd gopher://127.0.0.1/ //example.com/ example.com javascript:alert(1) https://[::1 https://example.com:99999/
https://%31%32%37.0.0.1/ https://\u2460\u2461\u2466.0.0.1/
""".split()


@pytest.mark.parametrize("url", PROBES)
def test_a_probe_is_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        Reach().check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://example.com:8443/a?b=c",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://XN--e1aFmkfd.example/",
    ],
)
def test_the_public_internet_may_be_called(url: str) -> None:
    assert Reach().check(url).scheme == "https"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "::ffff:10.0.0.1", "169.254.169.254", "fd00::1", "64:ff9b::a00:1"])
def test_an_address_behind_a_name_is_refused(address: str) -> None:
    with pytest.raises(Forbidden):
        Reach().check_address("example.com", address)


def test_what_the_operator_allows() -> None:
    reach = Reach(allowed=frozenset({"erp.internal", "10.0.0.7"}))
    assert reach.check("http://erp.internal:9000/x").port == 9000
    assert reach.check("http://10.0.0.7/x").hostname == "10.0.0.7"
    reach.check_address("erp.internal", "10.0.0.7")
    with pytest.raises(Forbidden):
        reach.check_address("example.com", "10.0.0.7")


def test_open_means_this_machine_and_not_its_network() -> None:
    reach = Reach(open=True)
    assert reach.check("http://127.0.0.1:12345/x").port == 12345
    reach.check_address("localhost", "::1")
    for url in ("http://10.0.0.1/", "http://169.254.169.254/"):
        with pytest.raises(Forbidden):
            reach.check(url)


class Listener:
    """Counts who connects to this machine."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


async def post(outbound: Outbound, url: str) -> Reply:
    try:
        return await outbound.send("POST", url, b"{}", {}, seconds=5, most=100)
    finally:
        await outbound.close()


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:127.0.0.1"]])
async def test_nothing_is_connected_to_before_every_address_was_checked(listener: Listener, addresses: list[str]) -> None:
    """Not even for a look whether somebody answers there."""

    async def resolve(host: str, port: int) -> list[str]:
        return addresses

    outbound = Outbound(Reach(), resolve)
    with pytest.raises(Failed) as failed:
        await post(outbound, "https://partner.example/")
    assert failed.value.reason == "forbidden"
    assert listener.connections == 0


async def test_a_name_that_means_something_else_a_moment_later(listener: Listener) -> None:
    """What is connected to is what was checked: the second answer of a rebinding name server is checked, too."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    outbound = Outbound(Reach(open=True), resolve)
    url = f"http://partner.example:{listener.port}/"
    assert (await outbound.send("POST", url, b"{}", {}, seconds=5, most=100)).status == 200
    with pytest.raises(Failed) as failed:
        await post(outbound, url)
    assert (failed.value.reason, len(asked), listener.connections) == ("forbidden", 2, 1)


async def test_the_address_itself_is_looked_at_last(listener: Listener) -> None:
    """Even if nobody had checked what a name stands for."""

    async def unchecked(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    client = Client(unchecked, Outbound(Reach())._dial)
    with pytest.raises(Failed) as failed:
        await client.send("POST", f"http://partner.example:{listener.port}/", b"{}", {}, 100)
    await client.close()
    assert (failed.value.reason, listener.connections) == ("forbidden", 0)


async def test_a_host_that_the_operator_allows_is_connected_to(listener: Listener) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    outbound = Outbound(Reach(allowed=frozenset({"erp.internal"})), resolve)
    assert (await post(outbound, f"http://erp.internal:{listener.port}/")).status == 200


async def test_a_proxy_of_the_environment_is_not_used(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Failed) as failed:
            await post(Outbound(Reach(open=True)), f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert (failed.value.reason, listener.connections) == ("unreachable", 0)


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(Failed) as failed:
        await post(Outbound(Reach()), "https://nothing.invalid/")
    assert failed.value.reason == "unreachable"
