"""A model server that does nothing, as fast as plain asyncio can: it shows what a plane in front of it costs."""

# ruff: noqa: T201
import asyncio
import os
import time

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Null(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.waiting = b""

    def data_received(self, data):
        self.waiting += data
        while True:
            head, separator, rest = self.waiting.partition(b"\r\n\r\n")
            if not separator:
                return
            size = 0
            for line in head.split(b"\r\n")[1:]:
                if line[:15].lower() == b"content-length:":
                    size = int(line[15:])
            if len(rest) < size:
                return
            self.waiting = rest[size:]
            self.transport.write(ANSWER)


async def main():
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    server = await asyncio.get_running_loop().create_server(Null, "0.0.0.0", port)
    print("listening", time.time(), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
