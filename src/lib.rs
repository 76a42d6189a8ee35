//! Larder: plan and apply for virtualization storage, described in HCL, on live hosts over SSH.
//!
//! # The map
//!
//! Data passes through the modules in this order, and a module uses only what stands above it:
//!
//! | module | what it does |
//! |---|---|
//! | [`model`] | the nouns: address, block, host, fact, step, hazard, problem; they touch nothing |
//! | [`kinds`] | one file per resource kind: block, questions, what answers mean, differences with their remedies, unmaking |
//! | [`state`] | what is ours: format, addresses that change, local file, lock |
//! | [`config`] | HCL text -> [`config::Desired`] |
//! | [`install`] | fetches modules that `module` blocks name in git repositories, and pins what they were |
//! | [`transport`] | the one door to a host: one connection and one remote shell, through SSH or here |
//! | [`probe`] | asks every host once; reads, never writes |
//! | [`plan`](mod@plan) | the pure heart: desired + facts + state -> [`plan::Plan`] |
//! | [`discover`] | what was found on hosts against the plan of it: what is adopted as it is, what becomes a remark |
//! | [`apply`] | carries a plan out and decides nothing; journal; what the state remembers of it |
//! | [`lab`] | throwaway container hosts |
//! | [`view`] | what people and machines see: plans, problems, status, reports, progress |
//! | [`cli`] | the words of the command line; no behaviour |
//! | [`commands`] | one verb a file, each a recipe that reads aloud |
//!
//! ```text
//! *.hcl --config--> Desired --+
//! hosts --probe---> Facts ----+--plan (pure)--> Plan = steps in order --apply--> hosts --probe--> verified --> state
//! state ----------------------+                  |--> view: terminal, JSON, file
//! ```
//!
//! # What is not there
//!
//! - Nothing left of [`apply`] writes to a host, and nothing left of [`transport`] can reach one.
//! - [`kinds`], [`plan`](mod@plan) and [`view`] know no clock, no randomness, no environment and no file: the same input gives the
//!   same bytes. Safety rules are therefore tested with facts alone.
//! - A value never becomes shell syntax. What runs on a host are programs and the constant functions in `kinds/ask/*.sh`;
//!   values reach them as arguments.
//! - A credential is in no block, plan, question, state or log: a mark stands for it ([`model::Secrets`]), and [`transport`] alone
//!   puts the text in its place.
//! - Nothing waits for storage that does not answer: a host asks its network mounts first, and what lies below a silent one is
//!   not asked.
//! - Silence is never "absent": a [`model::Answer`] is something that was said, or unknown with the reason.
//! - There is no remedy that recreates, shrinks, converts or deletes an image, none that formats a device that is not provably
//!   blank, and none that kills a process or unmounts lazily.
//! - The plan has no second description: what is shown, reviewed, journalled, run and taken back is one struct,
//!   [`model::Step`].
//!
//! # Adding a kind
//!
//! One file in `kinds/` and its line in [`kinds::table`]. No other module names a kind.

pub mod model;

pub mod kinds;

pub mod state;

pub mod config;

pub mod install;

pub mod transport;

pub mod probe;

pub mod plan;

pub mod discover;

pub mod apply;

pub mod lab;

pub mod view;

pub mod cli;

pub mod commands;
