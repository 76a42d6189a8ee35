//! Carries a plan out.

pub mod journal;
pub mod report;
