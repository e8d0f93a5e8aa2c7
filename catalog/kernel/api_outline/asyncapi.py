"""AsyncAPI 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.kernel.api_outline.items import Format, Item, ItemKind, Outline, Problem
from catalog.kernel.api_outline.texts import (
    capped,
    list_of,
    load,
    map_of,
    name_of,
    ref_name,
    resolved,
    summary_of,
    text_of,
)


def read(text: str) -> Outline:
    document, problem = load(text)
    if problem:
        return Outline(Format.ASYNCAPI, problem=problem)
    dialect = document.get("asyncapi")
    if not isinstance(dialect, str | int | float):
        return Outline(
            Format.ASYNCAPI,
            document=document,
            problem=Problem('there is no version; expected the key "asyncapi"', 1),
        )
    info = map_of(document.get("info"))
    is_new = str(dialect).startswith("3")
    items = _channels_3(document) if is_new else _channels_2(document)
    kept, is_cut = capped([*items, *_messages(document)])
    servers = [map_of(one) for one in map_of(document.get("servers")).values()]
    return Outline(
        Format.ASYNCAPI,
        title=name_of(info.get("title") or ""),
        version=name_of(info.get("version") or ""),
        dialect=name_of(dialect),
        description=text_of(info.get("description"), 10_000),
        servers=tuple(
            name_of(one.get("url") or f"{one.get('protocol', '')}://{one.get('host', '')}")
            for one in servers[:20]
        ),
        items=kept,
        document=document,
        is_cut=is_cut,
    )


def _channels_2(document: Mapping[str, Any]) -> list[Item]:
    items = []
    for name, written in map_of(document.get("channels")).items():
        channel = resolved(document, written)
        acts = {}
        for act in ("publish", "subscribe"):
            if isinstance(channel.get(act), dict):
                operation = channel[act]
                acts[act] = ", ".join(_message_names(document, operation.get("message"))) or "any"
        summaries = [summary_of(map_of(channel.get(act))) for act in acts]
        items.append(
            Item(
                ItemKind.CHANNEL,
                name=name_of(name),
                summary=summary_of(channel) or next(filter(None, summaries), ""),
                description=" ".join(filter(None, summaries)),
                signature="; ".join(f"{act} {message}" for act, message in acts.items()),
                members=acts,
                is_deprecated=channel.get("deprecated") is True,
            )
        )
    return items


def _channels_3(document: Mapping[str, Any]) -> list[Item]:
    acts: dict[str, dict[str, str]] = {}
    for written in map_of(document.get("operations")).values():
        operation = resolved(document, written)
        target = ref_name(operation.get("channel"))
        messages = [ref_name(message) for message in list_of(operation.get("messages"))]
        acts.setdefault(target, {})[text_of(operation.get("action")) or "send"] = (
            ", ".join(filter(None, messages)) or "any"
        )
    items = []
    for name, written in map_of(document.get("channels")).items():
        channel = resolved(document, written)
        here = acts.get(str(name), {})
        items.append(
            Item(
                ItemKind.CHANNEL,
                name=name_of(channel.get("address") or name),
                summary=text_of(channel.get("title")) or summary_of(channel),
                description=text_of(channel.get("description")),
                signature="; ".join(f"{act} {message}" for act, message in here.items()),
                members=here,
            )
        )
    return items


def _message_names(document: Mapping[str, Any], written: Any) -> list[str]:
    one = map_of(written)
    many = list_of(one.get("oneOf")) or [written]
    names = [ref_name(m) or text_of(resolved(document, m).get("name"), 100) for m in many]
    return [name for name in names if name]


def _messages(document: Mapping[str, Any]) -> list[Item]:
    messages = map_of(map_of(document.get("components")).get("messages"))
    items = []
    for name, written in messages.items():
        message = resolved(document, written)
        payload = resolved(document, message.get("payload"))
        members = {
            name_of(field): _type(document, schema)
            for field, schema in list(map_of(payload.get("properties")).items())[:200]
        }
        items.append(
            Item(
                ItemKind.MESSAGE,
                name=name_of(name),
                summary=text_of(message.get("title")) or summary_of(message),
                description=text_of(message.get("description")),
                signature=ref_name(message.get("payload")),
                members=members,
                is_deprecated=message.get("deprecated") is True,
            )
        )
    return items


def _type(document: Mapping[str, Any], schema: Any) -> str:
    return ref_name(schema) or text_of(map_of(schema).get("type"), 100) or "any"
