FROM python:3.13-slim-trixie AS build
COPY requirements.txt /
RUN pip install --no-cache-dir --require-hashes --target /packages --requirement /requirements.txt
COPY service/lookbook /app/lookbook
RUN python -m compileall -q /app

FROM python:3.13-slim-trixie AS service
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="lookbook" \
      org.opencontainers.image.description="Classifies pictures and keeps every answer" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /packages /packages
COPY --from=build /app /app
ENV PYTHONPATH=/app:/packages PYTHONUNBUFFERED=1 LOOKBOOK_BIND=0.0.0.0:8080
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
