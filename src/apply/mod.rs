//! Carries a plan out.

pub mod journal;
