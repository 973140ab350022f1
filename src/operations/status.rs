//! Data for `diyadm status` besides the workloads' own objects.

pub(crate) mod applications;
pub(crate) mod follow;
pub(crate) mod printer;
pub(crate) mod surroundings;
