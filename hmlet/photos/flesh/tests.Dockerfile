# The unit suite over an image of the platform: `ps.test --in-cluster` builds this on the image that is deployed.
#
#   docker build -f tests.Dockerfile --build-arg IMAGE=hmlet-web -t hmlet-tests . && docker run --rm hmlet-tests -k thumbnail

ARG IMAGE=hmlet-web
FROM python:3.11-slim-bookworm AS installer
RUN python3 -m venv /opt/pip

FROM ${IMAGE}
LABEL org.opencontainers.image.title="hmlet photos: unit tests"
USER 0:0
RUN --mount=type=bind,from=installer,source=/opt/pip,target=/opt/pip \
    --mount=type=bind,source=requirements,target=/tmp/requirements \
    --mount=type=cache,target=/var/cache/pip,id=hmlet-pip \
    /opt/pip/bin/pip --python /opt/venv/bin/python --cache-dir /var/cache/pip --disable-pip-version-check \
    install --quiet --no-deps --require-hashes --only-binary :all: -r /tmp/requirements/tests.txt
COPY pyproject.toml ./
COPY tests tests
# Where the suite keeps what it remembers: nothing is written but below /tmp.
ENV DJANGO_SETTINGS_MODULE=tests.settings \
    HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
USER 10001:10001
ENTRYPOINT ["python", "-m", "pytest", "-p", "no:cacheprovider", "-m", "not postgresql"]
CMD []
