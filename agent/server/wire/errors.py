"""Faults as bodies of answers."""

from typing import Any

from starlette.responses import JSONResponse

from agent.server.faults import Fault


def openai_error(fault: Fault) -> dict[str, Any]:
    """The error object of OpenAI's protocols."""
    return {"error": {"message": fault.message, "type": fault.type, "param": fault.param, "code": fault.code}}


_DASHSCOPE_CODES = {
    401: "InvalidApiKey",
    403: "AccessDenied",
    404: "ModelNotFound",
    408: "RequestTimeOut",
    413: "InvalidParameter",
    429: "Throttling.RateQuota",
}


def dashscope_error(fault: Fault, request_id: str) -> dict[str, Any]:
    """The error object of DashScope."""
    code = _DASHSCOPE_CODES.get(fault.status, "InvalidParameter" if fault.status < 500 else "InternalError")
    return {"code": code, "message": fault.message, "request_id": request_id}


def openai_refusal(fault: Fault) -> JSONResponse:
    """A fault as a whole answer, before anything was streamed."""
    return JSONResponse(openai_error(fault), fault.status, headers=dict(fault.headers))


def dashscope_refusal(fault: Fault, request_id: str) -> JSONResponse:
    """The same in DashScope's form."""
    return JSONResponse(dashscope_error(fault, request_id), fault.status, headers=dict(fault.headers))
