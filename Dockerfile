# Two images: `docker build --target webhook -t admissionwebhook:latest .` and
# `docker build --target empty-container -t empty-container:latest .`

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# Static, so that the image needs nothing else and the binary runs in other people's containers.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN cargo build --locked --release --package diyadm --target x86_64-unknown-linux-gnu

FROM scratch AS webhook
COPY --from=build /src/target/x86_64-unknown-linux-gnu/release/diyadm /diyadm
USER 65532:65532
ENTRYPOINT ["/diyadm"]
CMD ["serve"]

FROM alpine:3 AS empty-container
ENTRYPOINT ["tail", "-f", "/dev/null"]
