//! Files of the workstation that a configuration wants on hosts: their sizes and digests, read once before a plan is made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::kinds::{SourceFile, kind_of};
use crate::model::block::Attributes as _;
use crate::model::{Address, Blocks, Problem, Problems, Step, escape_line};
use crate::state::State;

/// What was read in this run, by the path of the configuration.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<String, Result<SourceFile, String>>);

impl Sources {
    /// Lets each block that wants one take in what its file is; a block that says something else is in error. The files of other blocks
    /// than `wanted` are not looked at.
    pub(super) fn measure(
        &mut self,
        directory: &Path,
        blocks: &mut Blocks,
        wanted: &BTreeSet<Address>,
        state: &State,
    ) -> Problems {
        let mut problems = Problems::new();
        for block in blocks.values_mut().filter(|block| wanted.contains(&block.address)) {
            let kind = kind_of(&block.address);
            let Some((kind, source)) = kind.and_then(|kind| Some((kind, kind.source_file(block)?.to_owned()))) else {
                continue;
            };
            let measured = self.0.entry(source.clone()).or_insert_with(|| measure(&full_path(directory, &source)));
            problems.extend(match measured {
                Ok(file) => kind.take_source(block, file),
                Err(_) if kind.outlives_its_source() && state.resources.contains_key(&block.address) => Problems::new(),
                Err(why) => {
                    let cure = "Put the file there, or correct `source`. Nothing was asked of any host.";
                    let summary = format!("{} cannot be read: {why}", escape_line(&source));
                    let place = block.place_of("source").or(block.place.as_deref());
                    vec![Problem::error("source-unreadable", summary, cure).at(place)]
                }
            });
        }
        problems
    }
}

/// The files that the steps of a plan read are still those that it was made with, as far as that must be known before any of them
/// runs. Where all of them only upload, each reads its file while it sends it, and puts nothing else than what was planned into place:
/// to read all files twice would gain nothing.
pub(super) fn check(directory: &Path, steps: &[Step]) -> Problems {
    let only_uploads = steps.iter().all(|step| step.command.upload.is_some());
    let changed = steps.iter().filter_map(|step| {
        let planned = step.command.upload.as_ref()?;
        let path = full_path(directory, &planned.path);
        let why = match open(&path) {
            Ok((_, bytes)) if bytes != planned.bytes => format!("it has {bytes} bytes, not {}", planned.bytes),
            Ok(_) if only_uploads => return None,
            Ok(_) => match measure(&path) {
                Ok(now) if now.bytes == planned.bytes && now.sha256 == planned.sha256 => return None,
                Ok(now) => format!("it has {} bytes and the SHA-256 {}", now.bytes, now.sha256),
                Err(why) => format!("it cannot be read: {why}"),
            },
            Err(why) => format!("it cannot be read: {why}"),
        };
        let summary = format!("{} has changed since the plan was made: {why}", escape_line(&planned.path));
        let cure = format!("Nothing was done ({} relies on it). Put the file back, or make a new plan.", step.id);
        Some(Problem::error("source-changed", summary, cure))
    });
    changed.collect()
}

/// The steps with the paths of their files as this process can open them.
pub(super) fn located(directory: &Path, steps: &[Step]) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for upload in steps.iter_mut().filter_map(|step| step.command.upload.as_mut()) {
        upload.path = full_path(directory, &upload.path).to_string_lossy().into_owned();
    }
    steps
}

fn full_path(directory: &Path, source: &str) -> PathBuf {
    match source.strip_prefix("~/").zip(std::env::var_os("HOME")) {
        Some((rest, home)) => Path::new(&home).join(rest),
        None => directory.join(source),
    }
}

/// A regular file, and how many bytes it says that it has.
fn open(path: &Path) -> Result<(std::fs::File, u64), String> {
    // Some files wait until there is something to read.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let opened = std::fs::File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    match found.is_file() {
        true => Ok((file, found.len())),
        false => Err("it is no regular file".to_owned()),
    }
}

fn measure(path: &Path) -> Result<SourceFile, String> {
    let started = std::time::Instant::now();
    let (mut file, _) = open(path)?;
    let (mut digest, mut bytes, mut head, mut chunk) = (Sha256::new(), 0, Vec::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                digest.update(&chunk[..count]);
                head.extend(&chunk[..count.min(SourceFile::HEAD.saturating_sub(head.len()))]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    tracing::debug!(path = %path.display(), bytes, elapsed = ?started.elapsed(), "read");
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(SourceFile { bytes, sha256, head })
}
