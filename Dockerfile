# The server alone: build the environment in one stage, run it as nobody in another.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock .
RUN python -m venv /opt/mbaas && /opt/mbaas/bin/pip install --require-hashes -r requirements.lock
COPY . .
RUN /opt/mbaas/bin/pip install --no-deps .

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin mbaas && install -d -o mbaas -g mbaas /data
COPY --from=build /opt/mbaas /opt/mbaas
ENV PATH=/opt/mbaas/bin:$PATH PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 MBAAS_DATA_DIR=/data
USER mbaas
WORKDIR /data
VOLUME /data
EXPOSE 1337
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('MBAAS_PORT', '1337')}/readyz\", timeout=2)"]
ENTRYPOINT ["mbaas"]
CMD ["serve"]
