"""Servers that mistake snapshots and images."""

from typing import Any

from contract.mutants.faults.resources import (
    common,
    fault,
    pretending,
    without_newest,
)
from contract.mutants.mutant import Kind
from contract.mutants.mutators import document, listing, request_document

_DELETED = {"status": "deleted", "success": True}


def _source(body: Any, _call: object) -> dict[str, object]:  # noqa: ANN401 - any JSON
    """The snapshot's own source, as if it were a new one."""
    kind = body.get("source_type") or body.get("type") or "session"
    source = body.get("source_id", "sess_0")
    made: dict[str, object] = {
        f"{kind}_id": source,
        "id": source,
        "status": "running",
        "type": kind,
    }
    return {**made, "url": "http://same.on.localhost"} if kind == "service" else made


def _same_image(body: Any, _call: object) -> dict[str, object]:  # noqa: ANN401 - any JSON
    return {name: body[name] for name in ("id", "image_id") if name in body}


SNAPSHOTS = (
    *common("snapshot", "a", "createSnapshot", "deleteSnapshot", _DELETED),
    fault(
        "snapshot-name-lost",
        "A snapshot has another name when it is read.",
        ("getSnapshot",),
        document(lambda body: body.update(name="snapshot")),
        Kind.DATA_LOSS,
    ),
    fault(
        "snapshot-not-restored",
        "The source keeps what it did since the snapshot.",
        ("restoreSnapshot",),
        pretending({"status": "restored"}, "id", "snapshot_id"),
        Kind.DATA_LOSS,
    ),
    fault(
        "snapshot-clone-is-source",
        "A clone is the source itself.",
        ("cloneSnapshot",),
        pretending(_source, "snapshot_id"),
    ),
)

IMAGES = (
    *common("image", "an", "publishImage", "deleteImage", _DELETED),
    fault(
        "image-name-lost",
        "An image has another name when it is read.",
        ("getImage",),
        document(lambda body: body.update(name="image")),
        Kind.DATA_LOSS,
    ),
    fault(
        "owned-image-unlisted",
        "The newest image of one's own is not listed.",
        ("listOwnedImages",),
        without_newest("images"),
        Kind.DATA_LOSS,
    ),
    fault(
        "public-image-unlisted",
        "No image is public.",
        ("listPublicImages",),
        listing("images", lambda _found: []),
        Kind.DATA_LOSS,
    ),
    fault(
        "shared-image-unlisted",
        "No image is shared.",
        ("listSharedImages",),
        listing("images", lambda _found: []),
        Kind.DATA_LOSS,
    ),
    fault(
        "visibility-pretended",
        "Who may see an image does not change.",
        ("setImageVisibility",),
        pretending(
            lambda _body, call: {"visibility": (call.document or {}).get("visibility", "private")}
        ),
    ),
    fault("grant-pretended", "A key that is let in stays out.", ("grantImage",), pretending({})),
    fault(
        "revoke-pretended",
        "A key that is shut out stays in.",
        ("revokeImage",),
        pretending({}),
        Kind.TENANCY,
    ),
    fault(
        "trusted-keys-lost",
        "Nobody is trusted with an image.",
        ("listTrustedKeys",),
        document(lambda body: body.update(trusted_keys=[], count=0)),
        Kind.DATA_LOSS,
    ),
    fault(
        "transfer-pretended",
        "An image that is given away stays.",
        ("transferImage",),
        pretending({}),
    ),
    fault(
        "spawn-name-lost",
        "A service that is started from an image has another name.",
        ("spawnImage",),
        request_document(lambda body: body.pop("name", None)),
        Kind.DATA_LOSS,
    ),
    fault(
        "image-clone-is-same",
        "The copy of an image is the image itself.",
        ("cloneImage",),
        pretending(_same_image),
    ),
)
