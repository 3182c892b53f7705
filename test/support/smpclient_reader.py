"""What boards run, as smpclient reads it: the path of a serial port in, a line of JSON out, until stdin ends."""

import asyncio
import json
import sys

from smpclient import SMPClient
from smpclient.exceptions import SMPBadSequence
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead
from smpclient.transport.serial import SMPSerialTransport

# Only a board that never answers is given up.
TIMEOUT_S = 120.0


# The board may still answer whoever asked before and was killed; smpclient takes that answer for its own.
MOST_STALE = 10


async def running(path: str) -> dict[str, object]:
    for left in reversed(range(MOST_STALE)):
        transport = SMPSerialTransport()
        client = SMPClient(transport, path, TIMEOUT_S)
        try:
            await client.connect()
            answer = await client.request(ImageStatesRead())
            break
        except SMPBadSequence:
            if left == 0:
                raise
            # Its own answer comes behind that one, and is not wanted any more.
            await asyncio.wait_for(transport.receive(), TIMEOUT_S)
        finally:
            await client.disconnect()
    if not success(answer):
        raise RuntimeError(repr(answer))
    one = next(image for image in answer.images if image.active)
    return {"version": one.version, "confirmed": one.confirmed is True}


for line in sys.stdin:
    try:
        told = asyncio.run(running(line.rstrip("\n")))
    except Exception as error:
        told = {"error": repr(error)}
    print(json.dumps(told), flush=True)
