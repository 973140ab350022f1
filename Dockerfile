# Two images: `docker build --target webhook -t admissionwebhook:latest .` and
# `docker build --target empty-container -t empty-container:latest .`

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# Static, so that the image needs nothing else and the binary runs in other people's containers. The
# flags are the program's alone: macros that the compiler loads cannot be static, and naming the target
# to spare them would name an architecture. At a fixed address, since one that moves writes to a
# megabyte of its own tables at its start, and an idle container keeps what was written and read.
RUN cargo rustc --locked --profile dist --package diyadm --bin diyadm -- \
    -C target-feature=+crt-static -C relocation-model=static

FROM scratch AS webhook
COPY --from=build /src/target/dist/diyadm /diyadm
USER 65532:65532
ENTRYPOINT ["/diyadm"]
CMD ["serve"]

# The blog's had `tail -f /dev/null` here, which reaps nothing and does not hear SIGTERM.
FROM alpine:3 AS empty-container
COPY --from=build /src/target/dist/diyadm /diyadm
ENTRYPOINT ["/diyadm", "idle"]
