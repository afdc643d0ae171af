"""Admission: what an envelope must be before its instruction may run. Pure; the ledger and the clock come after it.

The checks, in this order, and the stable codes of their refusals:

    size, signature by a pinned key     Malformed: nothing in it can be believed, not even its id
    a whole instruction in the body     Malformed `bad_instruction`
    the key's name in the body          key_mismatch
    the target is this device           wrong_device
    the key may ask for this type       type_not_allowed
    a handler is enabled for it here    type_not_enabled
    the arguments fit the handler's     bad_args      nothing beyond, nothing converted
    its times make sense                bad_window    issued before it expires, at most 30 days before
    freshness on trusted time           issued_before_birth, not_yet; `expired` is a state of its own

The texts of outcomes may come from anywhere: they are cut, and what is no Unicode in them is replaced.

Trusted time is an interval. An instruction that may have expired has expired; one that may be due is due.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from edge_agent.model.failure import Malformed
from edge_agent.model.offers import Handler
from edge_agent.model.word import Instruction, Outcome, OutcomeState
from edge_agent.wire.envelope import open_envelope

MOST_VALID_MS = 30 * 86_400_000
_MOST_ID = 128
_MOST_DETAIL = 500


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A pinned Ed25519 public key (32 bytes) and the types of instruction that it may ask for."""

    public: bytes
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ability:
    """An instruction that the local config enables: the frozen dataclass of its arguments, and what runs it."""

    args: type[Any]
    handle: Handler


@dataclass(frozen=True, slots=True)
class Admitted:
    """An instruction that passed every check but the ones of time; `digest` is the SHA-256 of its signed body."""

    instruction: Instruction
    args: Any
    handle: Handler
    digest: str


class Gate:
    """Opens envelopes for one device, by its pinned keys and enabled handlers."""

    def __init__(self, device: str, keys: Mapping[str, TrustedKey], abilities: Mapping[str, Ability]) -> None:
        self._device = device
        self._keys = keys
        self._public = {key_id: key.public for key_id, key in keys.items()}
        self._abilities = abilities
        self._instructions = TypeAdapter(Instruction)
        self._args = {name: TypeAdapter(ability.args) for name, ability in abilities.items()}

    def admit(self, envelope: bytes) -> Admitted | Outcome:
        """The instruction, or its refusal; Malformed for what cannot be verified."""
        key_id, body = open_envelope("instruction", envelope, self._public)
        try:
            instruction = self._instructions.validate_json(body, strict=True)
        except ValidationError as wrong:
            raise Malformed("bad_instruction", first_fault(wrong)) from None
        if not 0 < len(instruction.id) <= _MOST_ID or not instruction.id.isprintable():
            raise Malformed("bad_instruction", f"an id has 1 to {_MOST_ID} printable characters", field="id")
        return self._checked(key_id, instruction, hashlib.sha256(body).hexdigest())

    def _checked(self, key_id: str, instruction: Instruction, digest: str) -> Admitted | Outcome:
        kind = instruction.type
        if instruction.key_id != key_id:
            return refused(instruction.id, "key_mismatch", f"signed by {key_id}, said to be by {instruction.key_id}")
        if instruction.device != self._device:
            return refused(instruction.id, "wrong_device", f"this is {self._device}, not {instruction.device}")
        if kind not in self._keys[key_id].types:
            return refused(instruction.id, "type_not_allowed", f"key {key_id} may not ask for {kind}")
        ability = self._abilities.get(kind)
        if ability is None:
            return refused(instruction.id, "type_not_enabled", f"{kind} is not enabled on this device")
        unknown = instruction.args.keys() - {field.name for field in fields(ability.args)}
        if unknown:
            return refused(instruction.id, "bad_args", f"{kind} does not take {', '.join(sorted(unknown))}")
        try:
            args = self._args[kind].validate_json(orjson.dumps(instruction.args), strict=True)
        except ValidationError as wrong:
            return refused(instruction.id, "bad_args", first_fault(wrong))
        except TypeError as wrong:
            # A whole number beyond 64 bits is JSON to the one parser and not to the other.
            return refused(instruction.id, "bad_args", str(wrong))
        if not instruction.issued_at <= instruction.expires_at <= instruction.issued_at + MOST_VALID_MS:
            return refused(instruction.id, "bad_window", "it expires at most 30 days after it was issued")
        return Admitted(instruction, args, ability.handle, digest)


def stale(instruction: Instruction, earliest: int, latest: int, birth: int) -> Outcome | None:
    """Why an instruction may not run now, when true time (Unix ms) lies in `[earliest, latest]`; None when it may.

    `birth` is the ledger's: what was issued before it may have run already, and nobody here would know.
    """
    if latest >= instruction.expires_at:
        return ended(instruction.id, "expired", "expired", f"expired at {instruction.expires_at}, now {earliest}")
    if instruction.issued_at < birth:
        return refused(
            instruction.id,
            "issued_before_birth",
            f"issued at {instruction.issued_at}, and this device knows only what ran since {birth}; issue it again",
        )
    due = max(instruction.not_before, instruction.issued_at)
    if latest < due:
        return refused(instruction.id, "not_yet", f"due at {due}, now {latest}")
    return None


def refused(instruction: str, code: str, detail: str) -> Outcome:
    """The outcome of an instruction that will not run."""
    return ended(instruction, "refused", code, detail)


def ended(instruction: str, state: OutcomeState, code: str, detail: str) -> Outcome:
    """An end with a text for people, made fit to be recorded and sent: valid Unicode, at most 500 characters."""
    return Outcome(instruction, state, code, detail.encode(errors="replace").decode()[:_MOST_DETAIL])


def first_fault(wrong: ValidationError) -> str:
    """The first thing that a validator found, as `field: what is wrong`."""
    fault = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}"
