//! diyadm's own chores: `cargo xtask test|cluster|tidy|bench`.

mod bench;
mod cluster;
mod test;
mod tidy;

fn main() {}
