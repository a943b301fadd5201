# syntax=docker/dockerfile:1
# Two stages: wheels are made where build tools are, and only the finished environment is carried over.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/musubi
WORKDIR /src
# The metadata first: the layer with the dependencies stays while only code changes.
COPY pyproject.toml ./
RUN python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']))" \
        > requirements.txt \
    && /opt/musubi/bin/pip install -r requirements.txt
COPY README.md LICENSE ./
COPY gateway gateway
COPY mappings mappings
COPY fixtures/demo fixtures/demo
RUN /opt/musubi/bin/pip install --no-deps . \
    && /opt/musubi/bin/pip check \
    && /opt/musubi/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Musubi" \
      org.opencontainers.image.description="Gateway between regional health networks" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 musubi \
    && useradd --system --uid 10001 --gid musubi --home-dir /var/lib/musubi --shell /usr/sbin/nologin musubi \
    && install --directory --owner musubi --group musubi --mode 0750 /var/lib/musubi
COPY --from=build /opt/musubi /opt/musubi
ENV PATH=/opt/musubi/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# musubi.toml, database and blobs: mount a volume here.
WORKDIR /var/lib/musubi
VOLUME /var/lib/musubi
USER musubi
EXPOSE 8080 2575
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('MUSUBI_HTTP__PORT', '8080') + '/livez', timeout=4)"]
ENTRYPOINT ["musubi"]
CMD ["serve"]
