"""What an error type means: the pages that the `type` of a problem object points to."""

from litestar import Response, get
from litestar.params import FromPath

from dockbell.domain.errors import NotFoundError
from dockbell.web.calls import Call
from dockbell.web.errors import DESCRIPTIONS


@get("/error/{error_type:str}")
async def explain_error(call: Call, error_type: FromPath[str]) -> Response[bytes]:
    """200 with type, title and description; an unknown type is 404."""
    if error_type not in DESCRIPTIONS:
        raise NotFoundError
    return call.reply(
        200,
        {
            "type": call.faces.links.error(error_type),
            "title": error_type,
            "description": DESCRIPTIONS[error_type],
        },
    )


HANDLERS = [explain_error]
