"""What boards run, as smpclient reads it: the path of a serial port in, a line of JSON out, until stdin ends."""

import asyncio
import json
import sys

from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead
from smpclient.transport.serial import SMPSerialTransport

# Only a board that never answers is given up.
TIMEOUT_S = 120.0


async def running(path: str) -> dict[str, object]:
    async with SMPClient(SMPSerialTransport(), path, TIMEOUT_S) as client:
        answer = await client.request(ImageStatesRead())
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
