//! One file per resource kind, each in the order of the road: the block as people write it, what the host is asked,
//! what the answers mean, differences beside their remedies, unmaking, tests. This file holds the trait and the one
//! table of kinds. Nothing here talks to a host.

use std::collections::BTreeMap;

use crate::model::{Address, Block, Blocks, Datum, HostFacts, HostName, Problems, Question};

mod allocating;
pub mod ask;
mod attaching;
mod clustering;
pub mod external_volume;
pub mod found;
pub mod ground;
pub mod host;
pub mod image;
pub mod image_storage;
pub mod iscsi_target;
pub mod media_file;
pub mod media_share;
pub mod media_storage;
mod mounting;
pub mod ocfs2_cluster;
pub mod ocfs2_volume;
pub mod scene;
pub mod schema;
mod sharing;
pub mod source_file;
pub mod verdict;

pub use scene::{Attached, AttachedDisk, Dependent, Dependents, Heard, Media, Memory, Room, Scene, Shown};
use schema::Schema;
pub use source_file::SourceFile;
pub use verdict::{Difference, Draft, Edit, Need, Proof, Remedy, Standing, Verdict};

/// A resource kind. The rest of Larder knows kinds only through this trait and [`table`].
///
/// `complete` runs while the configuration is evaluated. `hosts` and `paths` say nothing of what is not known. All other methods
/// get blocks that are complete and known, from the configuration or from the state, and are pure.
pub trait Kind: Sync {
    /// The word of the configuration.
    fn name(&self) -> &'static str;

    /// What a block of the kind may hold.
    fn schema(&self) -> &'static Schema;

    /// Fills in the defaults of a block, and reports what the schema cannot say. `all` holds the completed blocks that this one
    /// depends on. An attribute that does not fit the schema is [`Datum::Unknown`](crate::model::Datum::Unknown), as one whose
    /// value is not known yet; where a default needs it, so is the default.
    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems;

    /// What is wrong between blocks that are right each by itself, while their credentials can still be compared.
    fn contradictions(&self, _all: &Blocks) -> Problems {
        Problems::new()
    }

    /// The hosts on which the resource has something to do, in the order of the configuration.
    fn hosts(&self, block: &Block, all: &Blocks) -> Vec<HostName>;

    /// The paths that the resource has to itself on each of its hosts. Two resources with one path are an error.
    fn paths(&self, _block: &Block, _all: &Blocks) -> Vec<String> {
        Vec::new()
    }

    /// By what it is the same object on a host whatever its block is called: the paths that are its own, and what only one
    /// resource can be made of.
    fn identities(&self, block: &Block, all: &Blocks) -> Vec<String> {
        self.paths(block, all)
    }

    /// The attribute that says where it lies, and what that is where nobody says: made of the name of the block.
    fn default_place(&self, _block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        None
    }

    /// Paths below which something must exist first, although no expression refers to it: the source of a bind mount.
    fn needs_paths(&self, _block: &Block, _all: &Blocks) -> Vec<String> {
        Vec::new()
    }

    /// What a host must be asked, besides what every host is asked (see [`ground::questions`]).
    fn questions(&self, _block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        Vec::new()
    }

    /// Holds what is wanted against what all its hosts said together.
    fn judge(&self, _block: &Block, _scene: &Scene) -> BTreeMap<HostName, Verdict> {
        BTreeMap::new()
    }

    /// How hosts show each other that they have the same, once it is known who has a part in the plan: `verdicts` holds those alone.
    fn prove(&self, _block: &Block, _scene: &Scene, _verdicts: &BTreeMap<HostName, Verdict>) -> Option<Proof> {
        None
    }

    /// What takes a recorded placement away again, without loss of data.
    fn unmake(&self, _block: &Block, _scene: &Scene, _host: &HostName) -> Verdict {
        Verdict::default()
    }

    /// Whether its hosts must know each other before anything is built on it: what needs it waits for all of its hosts, and of a host
    /// that leaves, first what was built on it goes, then the others are told, and its own part last.
    fn knows_each_other(&self) -> bool {
        false
    }

    /// The resource without whose very content this one is worthless (the backing image of an overlay), and where this one may be seen.
    fn built_on(&self, _block: &Block, _all: &Blocks) -> Option<(Address, Vec<String>)> {
        None
    }

    /// For kinds that hold images: the directories in which an image may be seen, the volume's own first.
    fn image_directories(&self, _block: &Block) -> Vec<String> {
        Vec::new()
    }

    /// The paths below which somebody may have files open that the resource must not take away: those in which images may be seen.
    fn used_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        self.image_directories(block)
    }

    /// For kinds that hold installation media: what they are.
    fn media(&self, _block: &Block, _all: &Blocks) -> Option<Media> {
        None
    }

    /// For kinds that attach disks to hosts: what of it a host has now.
    ///
    /// # Errors
    /// Why that is not known.
    fn attached(&self, _block: &Block, _facts: &HostFacts) -> Option<Result<Attached, String>> {
        None
    }

    /// Whether disks may appear on a host when the steps of the resource have run there.
    fn brings_disks(&self, _block: &Block, _scene: &Scene, _host: &HostName) -> bool {
        false
    }

    /// For kinds that serve or mount a CIFS share: which one, and where its files are seen on each host.
    fn shows(&self, _block: &Block) -> Option<Shown> {
        None
    }

    /// What a server said on a host last, in its own words, where there are any.
    fn told(&self, _block: &Block, _facts: &HostFacts) -> Option<String> {
        None
    }

    /// The file of the workstation that its content comes from, relative to the directory of the configuration.
    fn source_file<'a>(&self, _block: &'a Block) -> Option<&'a str> {
        None
    }

    /// Takes what was read of that file into the block before a plan is made; what the block says of it already is to be true.
    fn take_source(&self, _block: &mut Block, _file: &SourceFile) -> Problems {
        Problems::new()
    }

    /// Whether the file is needed once only, to make the resource: one that is recorded gets along without it.
    fn outlives_its_source(&self) -> bool {
        false
    }

    /// For kinds that hold images or media: the room that these find on one host.
    fn room(&self, _block: &Block, _scene: &Scene, _host: &HostName) -> Option<Room> {
        None
    }

    /// Remote functions that steps of this kind use.
    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// Every kind, in the order of documentation.
pub fn table() -> &'static [&'static dyn Kind] {
    &[
        &host::Host,
        &image_storage::ImageStorage,
        &external_volume::ExternalVolume,
        &iscsi_target::IscsiTarget,
        &ocfs2_cluster::Ocfs2Cluster,
        &ocfs2_volume::Ocfs2Volume,
        &image::Image,
        &media_share::MediaShare,
        &media_storage::MediaStorage,
        &media_file::MediaFile,
    ]
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static dyn Kind> {
    table().iter().copied().find(|kind| kind.name() == name)
}

/// Whether a block describes another thing than it did before, so that what is found of the one says nothing about the other: a
/// volume of another sort, or one that looks into another directory.
pub fn is_elsewhere(old: &Block, new: &Block) -> bool {
    let sort = |block: &Block| block.blocks.iter().map(|nested| nested.name.clone()).collect::<Vec<_>>();
    let directories = |block: &Block| kind_of(&block.address).map(|kind| kind.image_directories(block));
    sort(old) != sort(new) || directories(old) != directories(new)
}

/// The kind of a resource.
pub fn kind_of(address: &Address) -> Option<&'static dyn Kind> {
    kind(&address.kind)
}

/// Whether what needs a resource needs it on all of its hosts (see [`Kind::knows_each_other`]).
pub fn knows_each_other(address: &Address) -> bool {
    kind_of(address).is_some_and(Kind::knows_each_other)
}

/// All remote functions by name: those of questions and those of steps.
pub fn functions() -> BTreeMap<String, String> {
    let of_kinds = table().iter().flat_map(|kind| kind.functions());
    ask::FUNCTIONS
        .iter()
        .chain(ask::STEP_FUNCTIONS)
        .chain(of_kinds)
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}
