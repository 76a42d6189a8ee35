//! Larder: plan and apply for virtualization storage.

pub mod model;

pub mod kinds;

pub mod state;

pub mod config;

pub mod transport;

pub mod probe;

pub mod plan;

pub mod apply;

pub mod lab;

pub mod view;

pub mod cli;

pub mod commands;
