"""The operations of the API. This list is the one that is meant; the document has to match it."""

INVENTORY = frozenset(
    tuple(line.split())
    for line in """
    POST   /execute
    POST   /execute/async
    POST   /run
    POST   /run/async

    GET    /jobs
    GET    /jobs/{id}
    DELETE /jobs/{id}
    POST   /jobs/{id}/cancel
    GET    /jobs/{id}/wait

    GET    /sessions
    POST   /sessions
    GET    /sessions/{id}
    PATCH  /sessions/{id}
    DELETE /sessions/{id}
    POST   /sessions/{id}/freeze
    POST   /sessions/{id}/unfreeze
    POST   /sessions/{id}/sleep
    POST   /sessions/{id}/wake
    POST   /sessions/{id}/boost
    POST   /sessions/{id}/unboost
    POST   /sessions/{id}/lock
    POST   /sessions/{id}/unlock
    POST   /sessions/{id}/execute
    GET    /sessions/{id}/shell
    POST   /sessions/{id}/shell
    POST   /sessions/{id}/snapshot
    POST   /sessions/{id}/restore

    GET    /services
    POST   /services
    GET    /services/{id}
    PATCH  /services/{id}
    DELETE /services/{id}
    POST   /services/{id}/freeze
    POST   /services/{id}/unfreeze
    POST   /services/{id}/sleep
    POST   /services/{id}/wake
    POST   /services/{id}/lock
    POST   /services/{id}/unlock
    POST   /services/{id}/resize
    PUT    /services/{id}/domains
    POST   /services/{id}/redeploy
    POST   /services/{id}/execute
    GET    /services/{id}/logs
    GET    /services/{id}/env
    PUT    /services/{id}/env
    POST   /services/{id}/env
    DELETE /services/{id}/env
    POST   /services/{id}/env/export
    POST   /services/{id}/snapshot

    GET    /snapshots
    POST   /snapshots
    GET    /snapshots/{id}
    DELETE /snapshots/{id}
    POST   /snapshots/{id}/restore
    POST   /snapshots/{id}/clone
    POST   /snapshots/{id}/lock
    POST   /snapshots/{id}/unlock

    GET    /images
    POST   /images
    POST   /images/publish
    GET    /images/public
    GET    /images/owned
    GET    /images/own
    GET    /images/shared
    GET    /images/{id}
    PATCH  /images/{id}
    DELETE /images/{id}
    POST   /images/{id}/visibility
    POST   /images/{id}/lock
    POST   /images/{id}/unlock
    POST   /images/{id}/grant
    POST   /images/{id}/revoke
    POST   /images/{id}/access/grant
    POST   /images/{id}/access/revoke
    POST   /images/{id}/grant-access
    POST   /images/{id}/revoke-access
    GET    /images/{id}/access
    POST   /images/{id}/access
    DELETE /images/{id}/access
    DELETE /images/{id}/access/{key}
    GET    /images/{id}/trusted
    POST   /images/{id}/transfer
    POST   /images/{id}/spawn
    POST   /images/{id}/clone
    POST   /image

    POST   /keys/validate
    GET    /keys/self

    GET    /languages
    GET    /shells
    GET    /health
    GET    /cluster
    GET    /pools
    GET    /stats
    GET    /openapi

    GET    /paas/logs
    POST   /paas/logs
    GET    /paas/logs/stream
    GET    /logs
    GET    /logs/stream
    GET    /logs/{source}
    GET    /logs/{source}/stream

    GET    /_emulator/ready
    """.splitlines()
    if line.strip()
)

PUBLIC = frozenset(
    {
        "listLanguages",
        "listShells",
        "getHealth",
        "getCluster",
        "getPools",
        "getStats",
        "getOpenapi",
        "getReady",
    }
)
"""Operations that nobody signs."""

UNPROVIDED = frozenset({"generateImage"})
"""Operations that answer 501 for good."""

CREATES = {
    "execute": ["/jobs"],
    "executeAsync": ["/jobs"],
    "run": ["/jobs"],
    "runAsync": ["/jobs"],
    "executeService": ["/jobs"],
    "createSession": ["/sessions"],
    "createService": ["/services"],
    "spawnImage": ["/services"],
    "snapshotSession": ["/snapshots"],
    "snapshotService": ["/snapshots"],
    "createSnapshot": ["/snapshots"],
    "cloneSnapshot": ["/sessions", "/services"],
    "publishImage": ["/images"],
    "publishImageAlias": ["/images"],
    "cloneImage": ["/images"],
}
"""Operations that make something, and the collections it appears in."""
