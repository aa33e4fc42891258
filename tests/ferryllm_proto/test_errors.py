from __future__ import annotations

import pytest

from ferryllm_proto.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from ferryllm_proto.ir import STATUS, Error, ErrorKind


def test_both_faults_are_protocol_errors_and_apart() -> None:
    assert issubclass(LocalProtocolError, ProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)
    assert not issubclass(RemoteProtocolError, LocalProtocolError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)


def test_the_peers_fault_is_told_as_data() -> None:
    error = RemoteProtocolError("model: this field is required", param="model", code="invalid_type")
    assert str(error) == "model: this field is required"
    assert error.error == Error(
        ErrorKind.BAD_REQUEST, "model: this field is required", param="model", code="invalid_type"
    )
    assert error.status_hint == 400


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_hints_at_a_status(kind: ErrorKind) -> None:
    assert RemoteProtocolError("x", kind=kind).status_hint == STATUS[kind]
