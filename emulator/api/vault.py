"""`/services/{id}/env`: the vault of a service. Its values are in the export alone."""

from emulator.api.call import Call, Json, Reply
from emulator.api.services import find_service
from emulator.emulator import Emulator
from emulator.errors import NotFound
from emulator.services.vault import Variables, Vault, as_text, from_text


async def get_service_env(emulator: Emulator, call: Call) -> Reply:
    """What is in the vault: no values, unless `format=export` asks for them."""
    vault = emulator.vaults.look(find_service(emulator, call).id)
    if call.query.get("format") == "export":
        return Reply(await _export(vault))
    return Reply(_facts(emulator, vault) | {"env": {}})


async def set_service_env(emulator: Emulator, call: Call) -> Reply:
    """Replace the vault, whichever of its forms came."""
    service = find_service(emulator, call)
    vault = await emulator.vaults.fill(service.id, await _variables(call.body))
    try:
        find_service(emulator, call)
    except NotFound:  # it was deleted meanwhile
        await emulator.vaults.forget(service.id)
        raise
    told = {"status": "updated", "success": True, "message": "Vault updated"}
    return Reply(told | _facts(emulator, vault))


async def delete_service_env(emulator: Emulator, call: Call) -> Reply:
    """Delete the variables of `keys`, or without it the whole vault."""
    service, keys = find_service(emulator, call), call.fields.get("keys")
    assert keys is None or isinstance(keys, list)  # noqa: S101 - the validator saw to it
    gone = await emulator.vaults.take_out(service.id, keys)
    return Reply(
        {
            "status": "deleted",
            "success": True,
            "deleted": gone,
            "message": f"{len(gone)} variables deleted",
        }
    )


async def export_service_env(emulator: Emulator, call: Call) -> Reply:
    return Reply(await _export(emulator.vaults.look(find_service(emulator, call).id)))


async def _variables(body: Json | str) -> Variables:
    """What a request puts in; raises BadRequest for a `.env` file that cannot be read."""
    if isinstance(body, str):
        return await from_text(body)
    text = body.get("env", body.get("content"))
    if isinstance(text, str) and len(body) == 1:
        return await from_text(text)
    variables = text if isinstance(text, dict) else body
    return {name: str(value) for name, value in variables.items()}


async def _export(vault: Vault) -> Json:
    text = await as_text(vault.variables)
    return {"env": text, "content": text}


def _facts(emulator: Emulator, vault: Vault) -> Json:
    """What clients read of a vault, under each of the names that they know."""
    count, at = len(vault.variables), vault.updated_at
    updated = {} if at is None else {"updated_at": emulator.clock.isoformat(at)}
    return {
        "exists": count > 0,
        "has_vault": count > 0,
        "variable_count": count,
        "count": count,
        **updated,
    }
