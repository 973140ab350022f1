# Three images: `docker build --target webhook -t admissionwebhook:latest .`,
# `docker build --target empty-container -t empty-container:latest .` and
# `docker build --target agent -t diyadm-agent:latest .`

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# Static, so that the image needs nothing else and the binary runs in other people's containers. The
# flags are the program's alone: macros that the compiler loads cannot be static, and naming the target
# to spare them would name an architecture.
RUN cargo rustc --locked --profile dist --package diyadm --bin diyadm -- \
    -C target-feature=+crt-static -C relocation-model=static

# The agent by itself, with the same command as build.rs has, which puts it into diyadm.
FROM rust:1-bookworm AS build-agent
WORKDIR /src
COPY . .
RUN cargo rustc --locked --profile agent --package diyadm-agent --bin diyadm-agent -- \
    -C target-feature=+crt-static -C relocation-model=static

FROM scratch AS webhook
COPY --from=build /src/target/dist/diyadm /diyadm
USER 65532:65532
ENTRYPOINT ["/diyadm"]
CMD ["serve"]

# What the init container of `--idle agent` runs. It passes restricted Pod Security.
FROM scratch AS agent
COPY --from=build-agent /src/target/agent/diyadm-agent /diyadm-agent
USER 65532:65532
ENTRYPOINT ["/diyadm-agent"]

# The blog's had `tail -f /dev/null` here, which reaps nothing and ignores SIGTERM.
FROM alpine:3 AS empty-container
COPY --from=build-agent /src/target/agent/diyadm-agent /diyadm-agent
ENTRYPOINT ["/diyadm-agent"]
