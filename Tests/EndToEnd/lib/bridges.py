"""What tests of the bridge share."""

from .client import Client
from .server import until
from .tap import recorded

URL = "ws://127.0.0.1:{port}/ws/{{room}}?username={{username}}&color={{color}}"
URL_WITH_ID = URL + "&userId={{userId}}"


def url(port: int, with_id: bool = False) -> str:
    return recorded((URL_WITH_ID if with_id else URL).format(port=port))


async def make_bridge(admin: Client, name: str, room: str, port: int, remote_room: str = "kamar", **more) -> dict:
    body = {"name": name, "room": room, "url": url(port), "remoteRoom": remote_room} | more
    return await admin.post("/v1/admin/bridges", body, expect=201)


async def is_live(admin: Client, name: str, seconds: float = 20) -> dict:
    async def live():
        bridge = await admin.get(f"/v1/admin/bridges/{name}")
        return bridge if bridge["state"] == "live" else None

    return await until(live, f"bridge {name} is live", seconds)


async def is_drained(admin: Client, name: str, seconds: float = 60) -> None:
    async def drained():
        return (await admin.get(f"/v1/admin/bridges/{name}"))["queued"] == 0

    await until(drained, f"bridge {name} has an empty outbox", seconds)


async def member_named(client: Client, room: str, name: str, seconds: float = 20) -> dict:
    """The member whose display name this is."""

    async def found():
        members = (await client.get(f"/v1/rooms/{room}/members", params={"limit": 200}))["items"]
        return next((member for member in members if member["displayName"] == name), None)

    return await until(found, f"{name} is a member", seconds)
