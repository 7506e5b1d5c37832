"""Tags by ARN: AddTags, ListTags, DeleteTags."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.hosting.listing import page_of
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import invalid

_MOST_TAGS = 50


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    """The wire's list of tags as a mapping, e.g. [{"Key": "a", "Value": "b"}] is {"a": "b"}. Raises AwsError."""
    mapping = {tag["Key"]: tag["Value"] for tag in tags}
    if len(mapping) != len(tags):
        raise invalid("Duplicate tag keys found; each key may be given once.")
    return mapping


def add_tags(hosting: Hosting, call: Call, kinds: dict[str, type[Recorded]]) -> dict[str, Any]:
    with hosting.journal.transaction():
        kind, record = _find(hosting, call, kinds)
        tags = {**record.tags, **tag_map(call.parameters["Tags"])}
        if len(tags) > _MOST_TAGS:
            raise invalid(f"A resource takes at most {_MOST_TAGS} tags.")
        hosting.journal.put(kind, replace(record, tags=tags))
    return {"Tags": _listed(tags)}


def list_tags(hosting: Hosting, call: Call, kinds: dict[str, type[Recorded]]) -> dict[str, Any]:
    page, token = page_of(_listed(_find(hosting, call, kinds)[1].tags), call.parameters, size=_MOST_TAGS)
    return {"Tags": page, "NextToken": token}


def delete_tags(hosting: Hosting, call: Call, kinds: dict[str, type[Recorded]]) -> dict[str, Any]:
    with hosting.journal.transaction():
        kind, record = _find(hosting, call, kinds)
        gone = set(call.parameters["TagKeys"])
        hosting.journal.put(kind, replace(record, tags={k: v for k, v in record.tags.items() if k not in gone}))
    return {}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _find(hosting: Hosting, call: Call, kinds: dict[str, type[Recorded]]) -> tuple[str, Recorded]:
    arn = call.parameters["ResourceArn"]
    kind = arn.rsplit(":", 1)[-1].partition("/")[0]
    for record in hosting.journal.all(kind, kinds[kind], region=call.region) if kind in kinds else ():
        if record.arn == arn:
            return kind, record
    raise invalid(f"Could not find resource {arn}.")
