"""A client or an echo server made of one of Debian's libraries: peers.py LIBRARY client|server PORT.

Clients come back whenever they lost the connection, and print a line for each event.
"""

import asyncio
import sys
import time

library, role, port = sys.argv[1:4]
url = f"ws://127.0.0.1:{port}/"
RETRY_SECONDS = 0.1


def note(event):
    print(event, flush=True)


async def run_websockets():
    import websockets

    async with websockets.connect(url) as connection:
        note("open")
        for message in ["text", b"binary", ["frag", "men", "ted"]]:
            await connection.send(message)
            note(f"echo {await connection.recv()}")
        note("ready")
        try:
            await connection.recv()
        except websockets.ConnectionClosed as closed:
            note(f"close {connection.close_code} {type(closed).__name__}")


async def run_aiohttp():
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        note("open")
        await connection.send_str("text")
        note(f"echo {await connection.receive_str()}")
        await connection.send_bytes(b"binary")
        note(f"echo {await connection.receive_bytes()}")
        note("ready")
        message = await connection.receive()
        note(f"close {connection.close_code} {message.type.name}")


async def run_tornado():
    from tornado.websocket import websocket_connect

    connection = await websocket_connect(url)
    note("open")
    for message in ["text", b"binary"]:
        await connection.write_message(message, binary=isinstance(message, bytes))
        note(f"echo {await connection.read_message()}")
    note("ready")
    await connection.read_message()
    note(f"close {connection.close_code}")


async def run_websocket():
    import websocket

    frame, text, more = websocket.ABNF.create_frame, websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_CONT
    connection = websocket.create_connection(url)
    note("open")
    connection.send("text")
    note(f"echo {connection.recv()}")
    connection.send_binary(b"binary")
    note(f"echo {connection.recv()}")
    connection.send_frame(frame("frag", text, 0))
    connection.send_frame(frame("mented", more, 1))
    note(f"echo {connection.recv()}")
    note("ready")
    try:
        connection.recv()
    except websocket.WebSocketException as closed:
        note(f"close {type(closed).__name__}")


async def serve_websockets():
    import websockets

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async with websockets.serve(echo, "127.0.0.1", port):
        await asyncio.Future()


async def serve_aiohttp():
    from aiohttp import web

    async def echo(request):
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        async for message in connection:
            if isinstance(message.data, bytes):
                await connection.send_bytes(message.data)
            else:
                await connection.send_str(message.data)
        return connection

    app = web.Application()
    app.add_routes([web.get("/", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Future()


async def serve_tornado():
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler

    class Echo(WebSocketHandler):
        def on_message(self, message):
            self.write_message(message, binary=isinstance(message, bytes))

    Application([("/", Echo)]).listen(int(port), "127.0.0.1")
    await asyncio.Future()


if role == "server":
    asyncio.run(globals()[f"serve_{library}"]())
while True:
    try:
        asyncio.run(globals()[f"run_{library}"]())
    except Exception as error:  # whatever a library calls a server that is not there
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    time.sleep(RETRY_SECONDS)
