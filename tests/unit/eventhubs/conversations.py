"""What a client sends to the broker, frame by frame: good input for fuzz tests to damage."""

from __future__ import annotations

import random
from collections.abc import Sequence

from azure.eventhub._pyamqp.utils import generate_sas_token
from fuzzing import mutate

from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.frames import AMQP_HEADER, SASL_FRAME, SASL_HEADER, encode_frame
from local.eventhubs.amqp.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    SaslInit,
    Transfer,
)
from local.eventhubs.amqp.values import Described, Symbol, ULong
from local.eventhubs.eventdata import BATCH_FORMAT

HUB = "fuzzed"
_POLICY, _KEY = "RootManageSharedAccessKey", "SAS_KEY_VALUE"


def _token_request() -> bytes:
    token = generate_sas_token(f"sb://localhost/{HUB}", _POLICY, _KEY, 9_999_999_999)
    properties = {
        "operation": "put-token",
        "type": "servicebus.windows.net:sastoken",
        "name": f"sb://localhost/{HUB}",
    }
    return (
        encode(Described(ULong(0x73), ["id", None, None, None, "cbs-in"]))
        + encode(Described(ULong(0x74), properties))
        + encode(Described(ULong(0x77), token))
    )


def _management_request() -> bytes:
    properties = {
        "operation": "READ",
        "type": "com.microsoft:partition",
        "name": HUB,
        "partition": "0",
    }
    return encode(Described(ULong(0x73), ["id2", None, None, None, "mgmt-in"])) + encode(
        Described(ULong(0x74), properties)
    )


def _event(text: bytes) -> bytes:
    annotations = {Symbol("x-opt-partition-key"): "key"}
    return encode(Described(ULong(0x72), annotations)) + encode(Described(ULong(0x75), text))


def _batch() -> bytes:
    return b"".join(
        encode(Described(ULong(0x75), _event(text))) for text in (b"one", b"two", b"three")
    )


def _attach(name: str, handle: int, address: str, *, receive: bool) -> bytes:
    near, far = [name], [address]
    source, target = (far, near) if receive else (near, far)
    return encode_frame(
        0,
        Attach(
            name,
            handle,
            receive,
            source=Described(ULong(0x28), source),
            target=Described(ULong(0x29), target),
            initial_delivery_count=None if receive else 0,
            properties={Symbol("com.microsoft:epoch"): 1} if receive and handle == 5 else None,
        ),
    )


def conversation() -> list[bytes]:
    """Return all that a whole visit says: signing in, asking, sending, reading, leaving."""
    return [
        SASL_HEADER,
        encode_frame(0, SaslInit("ANONYMOUS", b""), kind=SASL_FRAME),
        AMQP_HEADER,
        encode_frame(0, Open("client", "localhost")),
        encode_frame(0, Begin(None, 0, 5000, 5000)),
        _attach("cbs-in", 0, "$cbs", receive=True),
        _attach("cbs-out", 1, "$cbs", receive=False),
        encode_frame(0, Flow(0, 5000, 0, 5000, 0, 0, 10)),
        encode_frame(0, Transfer(1, 0, b"0", 0), _token_request()),
        _attach("mgmt-in", 2, "$management", receive=True),
        _attach("mgmt-out", 3, "$management", receive=False),
        encode_frame(0, Flow(0, 5000, 0, 5000, 2, 0, 10)),
        encode_frame(0, Transfer(3, 1, b"1", 0), _management_request()),
        _attach("out", 4, f"{HUB}/Partitions/0", receive=False),
        encode_frame(0, Transfer(4, 2, b"2", BATCH_FORMAT), _batch()),
        encode_frame(0, Transfer(4, 3, b"3", 0, more=True), _event(b"first half")[:9]),
        encode_frame(0, Transfer(4, 3, b"3", 0), _event(b"first half")[9:]),
        _attach("in", 5, f"{HUB}/ConsumerGroups/$Default/Partitions/0", receive=True),
        encode_frame(0, Flow(1, 5000, 2, 5000, 5, 0, 10)),
        encode_frame(0, Disposition(True, 0, 3, settled=True)),
        encode_frame(0, Detach(4, closed=True)),
        encode_frame(0, End()),
        encode_frame(0, Close()),
    ]


def spoil(frames: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a conversation with one or two frames damaged, moved or repeated."""
    spoilt = list(frames)
    for _ in range(chance.choice((1, 1, 2))):
        place = chance.randrange(len(spoilt))
        match chance.randrange(6):
            case 0:
                spoilt.insert(chance.randrange(len(spoilt)), spoilt[place])
            case 1:
                del spoilt[place]
            case _:
                spoilt[place] = mutate(spoilt[place], chance, frames)
    return b"".join(spoilt)
