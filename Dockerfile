FROM python:3.13-slim-trixie AS build
COPY requirements.txt /
RUN pip install --no-cache-dir --require-hashes --target /packages --requirement /requirements.txt
COPY service/lookbook /app/lookbook
RUN python -m compileall -q /app && mkdir /data

FROM python:3.13-slim-trixie AS service
ARG VERSION=0.2.0
LABEL org.opencontainers.image.title="lookbook" \
      org.opencontainers.image.description="Classifies images and stores every prediction" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /packages /packages
COPY --from=build /app /app
# The default model and a place for SQLite, for `docker run`; the chart pulls models and keeps predictions in Cassandra.
COPY models/lookbook-clothes /app/lookbook/models/lookbook-clothes
COPY --from=build --chown=10001:10001 /data /data
ENV PYTHONPATH=/app:/packages PYTHONUNBUFFERED=1 LOOKBOOK_BIND=[::]:8080 LOOKBOOK_SQLITE_PATH=/data/lookbook.sqlite
VOLUME /data
WORKDIR /app
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["python", "-m", "lookbook"]
CMD ["serve"]

# For `skaffold dev`, which copies changed files into the running container.
FROM service AS dev
USER 0
RUN chown -R 10001:10001 /app
USER 10001:10001

FROM service
