//! Data for `diyadm status` and `diyadm ui` besides the workloads' own objects.

pub(crate) mod applications;
pub(crate) mod follow;
pub(crate) mod printer;
pub(crate) mod sources;
pub(crate) mod surroundings;
pub(crate) mod watched;
