"""Envelopes: bytes that somebody signed for one purpose, as JSON.

    {"key_id": str, "body": "<the signed bytes as UTF-8 text>", "sig": "<base64>"}

The signature is Ed25519 over `edge-agent <purpose> v1`, a line feed, and the bytes of the body as they came, so that
nobody has to write JSON in one certain way, and a config document never passes as an instruction. Keys are raw 32
bytes. An envelope says who signed and that the bytes are theirs; what the body asks, for whom and when is for others
to check. `cryptography` is imported on first use.

What does not hold raises `Malformed` with `bad_envelope`, `unknown_key` (the key is not pinned, or no Ed25519 key) or
`bad_signature`.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Literal

import orjson

from edge_agent.model.failure import Malformed

MOST_BYTES = 64 * 1024
"""Of a whole envelope."""

Purpose = Literal["instruction", "config"]


def sign(purpose: Purpose, body: bytes, key_id: str, private: bytes) -> bytes:
    """The envelope of a body, which is UTF-8 text."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - on first use

    signature = Ed25519PrivateKey.from_private_bytes(private).sign(_signed(purpose, body))
    envelope = {"key_id": key_id, "body": body.decode(), "sig": base64.b64encode(signature).decode()}
    return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)


def open_envelope(purpose: Purpose, envelope: bytes, keys: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Who signed, and the body; `keys` are the public keys to believe, by their ids."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - on first use

    key_id, body, signature = _read(envelope)
    if key_id not in keys:
        raise Malformed("unknown_key", "the key that signed is not pinned here", field="key_id")
    try:
        key = Ed25519PublicKey.from_public_bytes(keys[key_id])
    except ValueError as error:
        raise Malformed("unknown_key", "the pinned key is not an Ed25519 public key", field="key_id") from error
    try:
        key.verify(signature, _signed(purpose, body))
    except InvalidSignature as error:
        raise Malformed(
            "bad_signature", f"these bytes were not signed as {purpose} by this key", field="sig"
        ) from error
    return key_id, body


def public_of(private: bytes) -> bytes:
    """The public key of a private one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - on first use

    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _signed(purpose: Purpose, body: bytes) -> bytes:
    return b"edge-agent " + purpose.encode() + b" v1\n" + body


def _read(envelope: bytes) -> tuple[str, bytes, bytes]:
    if len(envelope) > MOST_BYTES:
        raise Malformed("bad_envelope", f"an envelope has at most {MOST_BYTES} bytes")
    try:
        document = orjson.loads(envelope)
    except orjson.JSONDecodeError as error:
        raise Malformed("bad_envelope", f"the envelope is not JSON: {error}") from error
    if type(document) is not dict:
        raise Malformed("bad_envelope", "the envelope is not an object")
    for name in ("key_id", "body", "sig"):
        if type(document.get(name)) is not str:
            raise Malformed("bad_envelope", f"{name} must be a string", field=name)
    try:
        signature = base64.b64decode(document["sig"], validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters that are not ASCII
        raise Malformed("bad_envelope", "sig must be base64", field="sig") from error
    return document["key_id"], document["body"].encode(), signature
