"""What a run left, as answers show it."""

import base64

from emulator.api.call import Json
from emulator.sandbox.program import Artifact, Outcome, Program


def artifact_fields(outcome: Outcome, work: Program) -> Json:
    """The fields of an answer that were asked for; what was not made has none.

    `artifacts` comes last: the vendor's C client reads every object after it as one more file.
    """
    if not (work.return_artifact or work.return_wasm_artifact):
        return {}
    found = outcome.artifacts
    fields: Json = {}
    for name, one in (("artifact", found.binary), ("wasm_artifact", found.wasm)):
        if one is not None:
            fields[name] = artifact_document(one)
    if found.skipped:
        fields["artifacts_skipped"] = found.skipped
    fields["artifacts"] = [artifact_document(file) for file in found.files]
    return fields


def artifact_document(artifact: Artifact) -> Json:
    """Both spellings of the content: the published spec's and the one that clients read."""
    content = base64.b64encode(artifact.content).decode()
    return {
        "type": "base64",
        "filename": artifact.filename,
        "content_base64": content,
        "data": content,
    }
