# The emulator in a container of its own; it makes sandboxes through the engine's socket.
ARG BASE
FROM ${BASE} AS packages
RUN install-packages python3-venv
WORKDIR /opt/unsandbox-emulator
COPY requirements.lock extra-ca.pem /build/
RUN cat /etc/ssl/certs/ca-certificates.crt /build/extra-ca.pem > /build/ca.pem \
 && python3 -m venv .venv \
 && .venv/bin/pip --cert /build/ca.pem --no-cache-dir --disable-pip-version-check \
        install --require-hashes -r /build/requirements.lock \
 && .venv/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
RUN install-packages python3
WORKDIR /opt/unsandbox-emulator
COPY --from=packages /opt/unsandbox-emulator/.venv .venv
COPY openapi.yaml ./
COPY runtimes runtimes
COPY emulator emulator
RUN .venv/bin/python -m compileall -q emulator
ENV UNSANDBOX_EMULATOR_HOST=0.0.0.0 \
    UNSANDBOX_EMULATOR_ADMIN_HOST=0.0.0.0 \
    UNSANDBOX_EMULATOR_DATA_DIR=/var/lib/unsandbox-emulator \
    UNSANDBOX_EMULATOR_KEY_FILE=/etc/unsandbox-emulator/secret.key \
    UNSANDBOX_EMULATOR_CA_DIR=/etc/unsandbox-emulator/ca
VOLUME ["/var/lib/unsandbox-emulator", "/etc/unsandbox-emulator"]
EXPOSE 8042 8043 8443
ENTRYPOINT [".venv/bin/python", "-m", "emulator.cli"]
CMD ["up"]
