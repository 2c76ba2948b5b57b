"""Forms as browsers send them: small, of one kind, and from a page of ours."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from mailward.console.site import client_of, site_of

MAX_FIELDS = 10


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form; of a name that comes twice the first. The gate limits its size. Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise HTTPException(422, "This is not a form as browsers send it (application/x-www-form-urlencoded).")
    try:
        text = (await request.body()).decode("utf-8")
        found = parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(422, "This form cannot be read.") from None
    return {name: values[0] for name, values in found.items()}


def from_our_page(request: Request, token: str, purpose: str) -> bool:
    """Whether the form was given to this client, lately, for this purpose, and not sent by another site."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return site_of(request).access.is_form_token(token, purpose, client_of(request))
