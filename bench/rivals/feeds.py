"""Four hundred publishers on loopback, each at an address of its own: every answer is a feed of new items.

No import but the standard library. `python feeds.py HOSTS ITEMS` prints its port and answers until its input ends.
"""

import asyncio
import itertools
import resource
import sys

ITEM = (
    "<item><title>Bank {n} raises its rate after a long meeting</title><guid isPermaLink='false'>item-{n}</guid>"
    "<link>http://news.example/{n}</link><pubDate>Mon, 02 Mar 2026 09:{m:02d}:{s:02d} GMT</pubDate>"
    "<description>The central bank said on Monday that it would raise its rate by a quarter of a point, the third time in a row. "
    "Its governor spoke of prices that rise faster than had been expected, and of a labour market without slack.</description></item>"
)
HEAD = "<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel><title>wire</title><link>http://news.example/</link>"


def addresses(hosts: int) -> list[str]:
    """One loopback address for each host.

    >>> addresses(2), len(set(addresses(400)))
    (['127.1.0.1', '127.1.0.2'], 400)
    """
    return [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(hosts)]


class Publisher(asyncio.Protocol):
    """Enough HTTP for two crawlers: GET, keep-alive, a robots.txt that is not there."""

    numbers = itertools.count()
    items = 25

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = transport
        self._got = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request whose head is complete."""
        self._got += data
        while b"\r\n\r\n" in self._got:
            head, _, self._got = self._got.partition(b"\r\n\r\n")
            answer = (
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" if b"/robots.txt" in head.partition(b"\r\n")[0] else self._feed()
            )
            assert isinstance(self._transport, asyncio.WriteTransport)
            self._transport.write(answer)

    def _feed(self) -> bytes:
        numbers = itertools.islice(self.numbers, self.items)
        items = "".join(ITEM.format(n=number, m=number // 60 % 60, s=number % 60) for number in numbers)
        body = f"{HEAD}{items}</channel></rss>".encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def main(hosts: int, items: int) -> None:
    """Listen at every address, on one port, until the input ends."""
    Publisher.items = items
    loop = asyncio.get_running_loop()
    first = await loop.create_server(Publisher, "127.1.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    others = await loop.create_server(Publisher, addresses(hosts)[1:], port)
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    first.close()
    others.close()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
