//! What `diyadm status` finds out about workloads besides their own objects.

pub(crate) mod applications;
pub(crate) mod follow;
pub(crate) mod surroundings;
