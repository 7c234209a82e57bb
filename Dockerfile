# syntax=docker/dockerfile:1

# The one image: every role is a command of the one binary.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package ratchet \
    && cp target/release/ratchet /ratchet

FROM debian:bookworm-slim
# Certificates to reach the payment gateway and mail server; time zones for local billing dates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /ratchet /usr/local/bin/ratchet
USER 65532:65532
EXPOSE 3000
ENTRYPOINT ["ratchet"]
