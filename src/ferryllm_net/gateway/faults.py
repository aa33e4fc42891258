"""What a client is told when the gateway itself fails."""

from __future__ import annotations

from ferryllm_net.http import Request, Responder
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.entries import find


async def answer_fault(request: Request, respond: Responder, request_id: str) -> None:
    """Say in the client's dialect that the gateway failed, where nothing was said yet; else the server cuts."""
    if respond.started:
        return
    error = ir.Error(ir.ErrorKind.SERVER, "internal error of the gateway")
    dialect = DIALECTS[find(request.method, request.path, request.headers).dialect]
    head, body = dialect.encode_error(error, request_id=request_id)
    await respond.complete(head.status, list(head.headers), body)
