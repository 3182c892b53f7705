"""AWS IoT's jobs and MQTT streams for things, as their documentation says; imports nothing of the project.

Usage: aws_services.py PORT CA CERT KEY SCENARIO.json LOG. Speaks to a broker as the service. The scenario holds
  thing, document      the one job, and its document
  file, stream         path of the stream's file; name of the stream
  stream_size          bytes that the stream claims (default: the file's)
  drop                 block numbers that are lost the first time
  change_stream        after so many blocks the stream is another version
  lose_reply           status details key whose first update is taken and its answer lost
  cancel_at            status details key at which somebody cancels the job instead
  time_out_at          the same: the step timer ran out before
  take_over_at         the same: another host has updated the job
  throttle             how many requests are answered with RequestThrottled first
Updates that were taken are lines of JSON in LOG. Prints "ready" when it listens.
"""

import json
import sys

import cbor2
import paho.mqtt.client as mqtt

PORT, CA, CERT, KEY, SCENARIO, LOG = sys.argv[1:7]
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "REMOVED", "CANCELED")
MOVES = {"QUEUED": ("IN_PROGRESS", "FAILED", "SUCCEEDED", "REJECTED", "CANCELED"), "IN_PROGRESS": ("IN_PROGRESS", "FAILED", "SUCCEEDED", "REJECTED", "CANCELED")}
wish = json.load(open(SCENARIO))
job = {"jobId": "job-1", "thingName": wish["thing"], "status": "QUEUED", "versionNumber": 1, "executionNumber": 1, "statusDetails": {}, "queuedAt": 1, "lastUpdatedAt": 1}
once = {"lost": False, "throttled": 0, "dropped": set(), "sent": 0, "version": 1, "taken": False}


def view(document=True):
    shown = dict(job)
    if document:
        shown["jobDocument"] = wish["document"]
    return shown


def is_next():
    return "document" in wish and job["status"] not in ENDED


def jobs(client, thing, path, body):
    base = f"$aws/things/{thing}/jobs/{path}"
    token = {"clientToken": body["clientToken"]} if "clientToken" in body else {}

    def accept(answer):
        client.publish(f"{base}/accepted", json.dumps({**answer, **token, "timestamp": 1}), 1)

    def reject(code, **more):
        client.publish(f"{base}/rejected", json.dumps({"code": code, "message": code, **more, **token, "timestamp": 1}), 1)

    if once["throttled"] < wish.get("throttle", 0):
        once["throttled"] += 1
        return reject("RequestThrottled")
    minutes = body.get("stepTimeoutInMinutes")
    if minutes is not None:
        if not isinstance(minutes, int) or not (1 <= minutes <= 10080 or minutes == -1):
            return reject("InvalidRequest")
        with open(LOG + ".timers", "a") as file:
            file.write(json.dumps({"path": path.split("/")[-1], "minutes": minutes}) + "\n")
    if path == "$next/get" or path == "start-next":
        if not is_next() or thing != job["thingName"]:
            return accept({})
        if path == "start-next" and job["status"] == "QUEUED":
            job.update(status="IN_PROGRESS", versionNumber=job["versionNumber"] + 1)
        return accept({"execution": view()})
    name, _, what = path.partition("/")
    if name != job["jobId"]:
        return reject("ResourceNotFound")
    if what == "get":
        return accept({"execution": view(body.get("includeJobDocument", False))})
    if what != "update":
        return reject("InvalidTopic")
    details = body.get("statusDetails") or {}
    if wish.get("cancel_at") in details and job["status"] not in ENDED:
        job.update(status="CANCELED", versionNumber=job["versionNumber"] + 1)
    if wish.get("time_out_at") in details and job["status"] not in ENDED:
        job.update(status="TIMED_OUT", versionNumber=job["versionNumber"] + 1)
    if wish.get("take_over_at") in details and not once["taken"]:
        once["taken"] = True
        job.update(versionNumber=job["versionNumber"] + 1, statusDetails={"host": "another"})
    state = {"status": job["status"], "versionNumber": job["versionNumber"], "statusDetails": job["statusDetails"]}
    if job["status"] in ENDED:
        return reject("TerminalStateReached", executionState=state)
    if "expectedVersion" in body and body["expectedVersion"] != job["versionNumber"]:
        return reject("VersionMismatch", executionState=state)
    if body.get("status") not in MOVES[job["status"]]:
        return reject("InvalidStateTransition", executionState=state)
    job.update(status=body["status"], statusDetails=details, versionNumber=job["versionNumber"] + 1)
    with open(LOG, "a") as file:
        file.write(json.dumps({"status": body["status"], "details": details}) + "\n")
    if wish.get("lose_reply") in details and not once["lost"]:
        once["lost"] = True
        return None
    state = {"status": job["status"], "versionNumber": job["versionNumber"], "statusDetails": job["statusDetails"]}
    return accept({"executionState": state} if body.get("includeJobExecutionState") else {})


def streams(client, thing, stream, what, body):
    base = f"$aws/things/{thing}/streams/{stream}"

    def publish(topic, answer):
        client.publish(f"{base}/{topic}/cbor", cbor2.dumps(answer), 1)

    if stream != wish.get("stream"):
        return publish("rejected", {"o": "ResourceNotFound", "m": "no such stream", "c": body.get("c", "")})
    data = open(wish["file"], "rb").read()
    if what == "describe":
        size = wish.get("stream_size", len(data))
        return publish("description", {"c": body.get("c", ""), "s": once["version"], "d": "", "r": [{"f": 0, "z": size}]})
    if "s" in body and body["s"] != once["version"]:
        return publish("rejected", {"o": "VersionMismatch", "m": "stream has changed", "c": body.get("c", "")})
    length, offset, bitmap = body["l"], body.get("o", 0), body.get("b")
    if not 256 <= length <= 131072:
        return publish("rejected", {"o": "BlockSizeOutOfBounds", "m": "", "c": ""})
    total = -(-len(data) // length)
    wanted = [offset + k for k in range(len(bitmap) * 8) if bitmap[k >> 3] >> (k & 7) & 1] if bitmap else range(offset, total)
    wanted = [block for block in wanted if block < total][: body.get("n", total)]
    if len(wanted) * length > 131072:
        return publish("rejected", {"o": "BlockCountLimitExceeded", "m": "", "c": ""})
    for block in wanted:
        if block in wish.get("drop", []) and block not in once["dropped"]:
            once["dropped"].add(block)
            continue
        part = data[block * length : (block + 1) * length]
        publish("data", {"c": body.get("c", ""), "f": body["f"], "l": len(part), "i": block, "p": part})
        once["sent"] += 1
        if once["sent"] == wish.get("change_stream"):
            once["version"] += 1


def on_message(client, _userdata, message):
    parts = message.topic.split("/")
    if message.topic.endswith(("/accepted", "/rejected", "/cbor")) and parts[3] == "jobs":
        return
    if parts[3] == "jobs":
        jobs(client, parts[2], "/".join(parts[4:]), json.loads(message.payload))
    elif parts[3] == "streams" and parts[5] in ("describe", "get") and parts[6] == "cbor":
        streams(client, parts[2], parts[4], parts[5], cbor2.loads(message.payload))


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="service")
client.tls_set(CA, CERT, KEY)
client.on_message = on_message
client.on_connect = lambda c, *_: c.subscribe("$aws/things/#", 1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("localhost", int(PORT))
client.loop_forever()
